// Which services of compose files are jobs: that others wait for until they have completed.
import { parse } from "yaml";
import { readComposeText } from "./compose-services.ts";

const completed = "service_completed_successfully";

/** Of these files together. A file that does not parse names none: compose itself says what is wrong with it. */
export function readComposeJobs(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap(jobsOf));
}

/** Reads the files at each call, and parses them only when their text is another. */
export function composeJobsReader(paths: readonly string[]): () => ReadonlySet<string> {
  let last: { readonly key: string; readonly jobs: ReadonlySet<string> } | null = null;
  return () => {
    const texts = paths.flatMap((path) => readComposeText(path) ?? []);
    const key = JSON.stringify(texts);
    if (last?.key !== key) last = { key, jobs: readComposeJobs(texts) };
    return last.jobs;
  };
}

function jobsOf(text: string): string[] {
  if (!text.includes(completed)) return [];
  try {
    const root: unknown = parse(text, { merge: true, uniqueKeys: false, logLevel: "silent" });
    const services = Object.values(record(record(root).services)).map(record);
    return services
      .flatMap((service) => Object.entries(record(service.depends_on)))
      .flatMap(([name, dependency]) => (record(dependency).condition === completed ? [name] : []));
  } catch {
    // Tags of compose's own, aliases without anchors: nothing is known.
    return [];
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
}
