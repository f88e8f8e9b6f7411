// One route's conditions, compiled once per config into a list of small predicates.
import type { RouteConfig, RouteMatch, StringMatch } from "../contract/config.ts";
import type { RequestHead } from "../http/message.ts";
import { compileStringMatch, type StringPredicate } from "./string-match.ts";

/** True when the request fits. `port` is the service's port that the request came to. */
export type RoutePredicate = (head: RequestHead, port: number) => boolean;

/** OR over the members of `match`, AND inside each; no member matches everything. */
export function compileRouteMatch(route: Pick<RouteConfig, "match">): RoutePredicate {
  if (route.match.length === 0) return () => true;
  const alternatives = route.match.map(compileAlternative);
  return (head, port) => alternatives.some((alternative) => alternative.every((fits) => fits(head, port)));
}

function compileAlternative(match: RouteMatch): RoutePredicate[] {
  const tests: RoutePredicate[] = [];
  if (match.path !== undefined) {
    const fits = compileStringMatch(match.path, { ignoreCase: match.ignoreUriCase === true });
    tests.push((head) => fits(pathOf(head.target)));
  }
  if (match.method !== undefined) {
    const fits = compileStringMatch(match.method);
    tests.push((head) => fits(head.method));
  }
  if (match.authority !== undefined) {
    const fits = compileStringMatch(match.authority);
    tests.push((head) => fits(head.authority));
  }
  if (match.port !== undefined) {
    const wanted = match.port;
    tests.push((_head, port) => port === wanted);
  }
  for (const [name, value] of Object.entries(match.headers ?? {})) tests.push(headerTest(name, value));
  for (const [name, value] of Object.entries(match.withoutHeaders ?? {})) tests.push(withoutHeaderTest(name, value));
  for (const [name, value] of Object.entries(match.query ?? {})) tests.push(queryTest(name, value));
  return tests;
}

function headerTest(name: string, match: StringMatch): RoutePredicate {
  const fits = compileStringMatch(match);
  return (head) => {
    const value = head.fields.joined(name);
    return value !== undefined && fits(value);
  };
}

/** Istio: a missing header counts as empty, so `withoutHeaders: {x: {exact: "a"}}` holds when x is absent. */
function withoutHeaderTest(name: string, match: StringMatch): RoutePredicate {
  const fits = compileStringMatch(match);
  return (head) => {
    const value = head.fields.joined(name);
    return match.kind === "present" ? value === undefined : !fits(value ?? "");
  };
}

function queryTest(name: string, match: StringMatch): RoutePredicate {
  const fits: StringPredicate = compileStringMatch(match);
  return (head) => {
    const question = head.target.indexOf("?");
    if (question < 0) return false;
    const value = queryValue(head.target.slice(question + 1), name);
    return value !== undefined && fits(value);
  };
}

/** The first value of a query parameter as sent, percent-decoded where that is valid; "" for a key without value. */
export function queryValue(query: string, name: string): string | undefined {
  for (const part of query.split("&")) {
    const equals = part.indexOf("=");
    if (decoded(equals < 0 ? part : part.slice(0, equals)) !== name) continue;
    return equals < 0 ? "" : decoded(part.slice(equals + 1));
  }
  return undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not valid percent-encoding: what was sent is what is compared.
    return text;
  }
}

/** The path without the query string. */
export function pathOf(target: string): string {
  const question = target.indexOf("?");
  return question < 0 ? target : target.slice(0, question);
}
