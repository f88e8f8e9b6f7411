// Blanks what is not code in a TypeScript text: comments, and what stands inside strings, templates and regular
// expressions. TypeScript 7 has no JavaScript API, and this is all that the rules here need to read code safely.

const lineComment = /\/\/[^\n]*/y;
const blockComment = /\/\*[\s\S]*?\*\//y;
const quoted = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
/** From after a backtick, or after the brace that ends a substitution, to the end of the template or its next substitution. */
const templateChunk = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;
const regularExpression = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const word = /[A-Za-z_$][\w$]*|\d[\w.]*/y;
const punctuation = /\+\+|--|[^\s]/y;

/** A slash after one of these begins a regular expression; after anything else it divides. */
const beforeExpression =
  /^(?:[([{},;=:!&|?+\-*%<>~^]|return|typeof|case|in|of|void|delete|throw|else|do|yield|await)?$/;

/**
 * The text with comments, strings' contents, templates' texts and regular expressions replaced by blanks. Every other
 * character, every line break and every length stays, so a position in the result is the same one in the source.
 * Quotes stay too, each as `"`. What stands in a template's `${}` is code and stays.
 */
export function maskSource(source: string): string {
  let masked = "";
  let previous = "";
  let depth = 0;
  /** Depths at which the braces of open substitutions were opened. */
  const substitutions: number[] = [];
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = masked.length;
    return pattern.exec(source)?.[0] ?? "";
  };
  const takeTemplate = (opener: string): void => {
    masked += opener;
    const chunk = take(templateChunk);
    if (chunk.endsWith("${")) substitutions.push(++depth);
    masked += blank(chunk);
    previous = chunk.endsWith("${") ? "{" : '"';
  };
  while (masked.length < source.length) {
    const comment = take(lineComment) || take(blockComment);
    const text = take(quoted);
    const expression = beforeExpression.test(previous) ? take(regularExpression) : "";
    const character = source[masked.length] ?? "";
    if (comment !== "") masked += blank(comment);
    else if (text !== "") {
      masked += `"${blank(text.slice(1, -1))}"`;
      previous = '"';
    } else if (character === "`") takeTemplate(" ");
    else if (character === "}" && substitutions.at(-1) === depth) {
      substitutions.pop();
      depth--;
      takeTemplate(" ");
    } else if (expression !== "") {
      masked += blank(expression);
      previous = '"';
    } else {
      const token = take(word) || take(punctuation) || character;
      if (token === "{") depth++;
      if (token === "}") depth--;
      if (token.trim() !== "") previous = token;
      masked += token;
    }
  }
  return masked;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** 1-based. */
export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}
