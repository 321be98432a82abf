/** A TypeScript file taken apart: its code without comments and literals, and the literals. */
export interface Source {
  /** Comments are gone; each string or piece of a template stands as `§n§`, each regular expression as `/§/`. */
  readonly code: string;
  /** The texts of strings and of templates' pieces, by their n. */
  readonly literals: readonly string[];
}

/** Words after which a slash begins a regular expression. */
const BEFORE_REGEX =
  /(?:^|[([{,;:=!&|?+\-*%~^<>]|(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|do|else|yield|await))$/;

export function takeApart(text: string): Source {
  const literals: string[] = [];
  let code = '';
  let at = 0;
  /** For each open template: how many braces are open inside its `${`. */
  const templates: number[] = [];
  const keep = (literal: string) => {
    code += `§${literals.push(literal) - 1}§`;
  };
  const template = () => {
    const end = endOfTemplate(text, at);
    keep(text.slice(at, end.at));
    at = end.at + (end.isOpen ? 2 : 1);
    if (end.isOpen) templates.push(0);
  };
  while (at < text.length) {
    const sign = text.charAt(at);
    const pair = text.slice(at, at + 2);
    if (pair === '//') at = indexOrEnd(text, '\n', at);
    else if (pair === '/*') at = indexOrEnd(text, '*/', at + 2) + 2;
    else if (sign === '"' || sign === "'") {
      const end = endOfQuoted(text, at + 1, sign);
      keep(text.slice(at + 1, end));
      at = end + 1;
    } else if (sign === '`') {
      at++;
      template();
    } else if (sign === '/' && BEFORE_REGEX.test(code.trimEnd().slice(-12))) {
      at = endOfRegex(text, at + 1);
      code += '/§/';
    } else if (sign === '}' && templates.at(-1) === 0) {
      templates.pop();
      at++;
      template();
    } else {
      const open = templates.length - 1;
      if (sign === '{' && open >= 0) templates[open] = (templates[open] ?? 0) + 1;
      if (sign === '}' && open >= 0) templates[open] = (templates[open] ?? 0) - 1;
      code += sign;
      at++;
    }
  }
  return { code, literals };
}

/** What the file imports, in whatever way: `import … from`, `import '…'`, `export … from`, `import(…)`, `require(…)`. */
export function importsOf({ code, literals }: Source): string[] {
  const patterns = [
    /\bfrom\s*§(\d+)§/g,
    /\bimport\s*§(\d+)§/g,
    /\bimport\s*\(\s*§(\d+)§/g,
    /\brequire(?:\.resolve)?\s*\(\s*§(\d+)§/g,
  ];
  return patterns.flatMap((pattern) => Array.from(code.matchAll(pattern), (match) => literals[Number(match[1])] ?? ''));
}

/** Whether a dynamic import names anything but a literal, so that nobody can say what it loads. */
export function hasComputedImport({ code }: Source): boolean {
  return /\bimport\s*\(\s*(?!§\d+§\s*[,)])/.test(code) || /\brequire\s*\(\s*(?!§\d+§\s*\))/.test(code);
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let at = start;
  while (at < text.length && text.charAt(at) !== quote && text.charAt(at) !== '\n')
    at += text.charAt(at) === '\\' ? 2 : 1;
  return at;
}

function endOfTemplate(text: string, start: number): { at: number; isOpen: boolean } {
  let at = start;
  while (at < text.length && text.charAt(at) !== '`' && text.slice(at, at + 2) !== '${')
    at += text.charAt(at) === '\\' ? 2 : 1;
  return { at, isOpen: text.charAt(at) === '$' };
}

function endOfRegex(text: string, start: number): number {
  let at = start;
  let isInClass = false;
  while (at < text.length && text.charAt(at) !== '\n' && (isInClass || text.charAt(at) !== '/')) {
    if (text.charAt(at) === '[') isInClass = true;
    if (text.charAt(at) === ']') isInClass = false;
    at += text.charAt(at) === '\\' ? 2 : 1;
  }
  return at + 1;
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const at = text.indexOf(wanted, from);
  return at < 0 ? text.length : at;
}
