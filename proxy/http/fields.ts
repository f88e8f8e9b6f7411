// Header fields of one message: order and the sender's spelling of names are kept, look-ups ignore case.
// Every byte in here was validated where it was parsed (token names; values without CR, LF, NUL and outer blanks).

export class Fields {
  /** name, value, name, value, ... as they go on the wire (latin1). */
  readonly list: string[];

  constructor(list: string[] = []) {
    this.list = list;
  }

  /** The first value, or undefined. `name` must be lower case. */
  get(name: string): string | undefined {
    const { list } = this;
    for (let i = 0; i < list.length; i += 2) if (isName(list[i], name)) return list[i + 1];
    return undefined;
  }

  /** Every value joined by commas (RFC 9110 5.3), as Envoy does before it matches; or undefined. */
  joined(name: string): string | undefined {
    const { list } = this;
    let result: string | undefined;
    for (let i = 0; i < list.length; i += 2) {
      if (isName(list[i], name)) result = result === undefined ? list[i + 1] : `${result},${list[i + 1]}`;
    }
    return result;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Replaces the first, removes the others; appends when there is none. */
  set(name: string, value: string): void {
    const { list } = this;
    let isSet = false;
    for (let i = 0; i < list.length; i += 2) {
      if (!isName(list[i], name)) continue;
      if (isSet) {
        list.splice(i, 2);
        i -= 2;
      } else {
        list[i + 1] = value;
        isSet = true;
      }
    }
    if (!isSet) list.push(name, value);
  }

  append(name: string, value: string): void {
    this.list.push(name, value);
  }

  remove(name: string): void {
    const { list } = this;
    for (let i = list.length - 2; i >= 0; i -= 2) if (isName(list[i], name)) list.splice(i, 2);
  }

  get count(): number {
    return this.list.length >> 1;
  }
}

function isName(candidate: string | undefined, lower: string): boolean {
  return (
    candidate !== undefined &&
    candidate.length === lower.length &&
    (candidate === lower || candidate.toLowerCase() === lower)
  );
}
