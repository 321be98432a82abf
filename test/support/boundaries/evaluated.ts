import { posix } from 'node:path';
import { parseAst } from 'vitest/node';
import type { ProjectFile } from './rules.ts';

/** A node of a syntax tree (ESTree, with TypeScript's own nodes): what is asked of it is looked at first. */
export interface Tree {
  readonly type: string;
  readonly start: number;
  readonly [property: string]: unknown;
}

export function parse({ path, text }: ProjectFile): Tree {
  try {
    return parseAst(text, { lang: 'ts' }) as unknown as Tree; // ESTree nodes have a type and a start
  } catch (cause) {
    throw new Error(`${path} can't be parsed`, { cause });
  }
}

/** Every node below this one, itself first. */
export function* nodesIn(node: unknown): Generator<Tree> {
  if (typeof node !== 'object' || node === null) return;
  if (isTree(node)) yield node;
  for (const value of Array.isArray(node) ? node : Object.values(node)) yield* nodesIn(value);
}

function isTree(node: unknown): node is Tree {
  return typeof node === 'object' && node !== null && 'type' in node && typeof node.type === 'string';
}

/** Methods whose first argument a browser runs. */
const RUN_IN_PAGES = new Set(['evaluate', 'evaluateHandle', 'evaluateAll', 'waitForFunction']);
/** Methods that make text run in a page or in this program, whatever they are given. */
const NEVER = new Set([
  ...['eval', 'addInitScript', 'addScriptTag', 'setContent', '$eval', '$$eval', 'exposeFunction', 'exposeBinding'],
  ...['runInContext', 'runInNewContext', 'runInThisContext', 'compileFunction', 'dispatchEvent'],
]);
const NEVER_SENT =
  /^(?:Runtime\.(?:evaluate|compileScript|runScript)|Page\.addScript|Debugger\.|Page\.setDocumentContent)/;
const MODULES_THAT_RUN_TEXT = /^(?:node:)?(?:vm|repl|inspector)(?:\/|$)/;

const NODE_RUNS_TEXT = /^(?:-e|-pe|--eval|--print|--input-type(?:=.*)?)$/;

/** @returns every place of the program where text could become code, in words. */
export function evaluatedText(files: readonly ProjectFile[]): readonly string[] {
  const trees = new Map(files.map((file) => [file.path, parse(file)]));
  return [...trees].flatMap(([path, tree]) =>
    [...nodesIn(tree)].flatMap((node) => {
      const why = problemOf(node, path, trees);
      return why === undefined ? [] : [`${path}: ${why}`];
    }),
  );
}

function problemOf(node: Tree, path: string, trees: ReadonlyMap<string, Tree>): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ImportExpression': {
      const from = literalOf(node.source);
      if (from === undefined) return node.type === 'ImportExpression' ? 'an import of a computed name' : undefined;
      return MODULES_THAT_RUN_TEXT.test(from) || from.startsWith('data:') ? `an import of ${from}` : undefined;
    }
    case 'CallExpression':
    case 'NewExpression':
      return callProblem(node, path, trees);
    case 'Literal':
      return NODE_RUNS_TEXT.test(literalOf(node) ?? '') ? 'an argument that makes Node.js run a text' : undefined;
    case 'MemberExpression':
      return nameOfMember(node) === 'eval' ? 'eval' : undefined;
    default:
      return undefined;
  }
}

function callProblem(node: Tree, path: string, trees: ReadonlyMap<string, Tree>): string | undefined {
  const { callee } = node;
  const [first, second] = Array.isArray(node.arguments) ? (node.arguments as unknown[]) : [];
  if (!isTree(callee)) return undefined;
  if (callee.type === 'Identifier') {
    if (callee.name === 'eval' || callee.name === 'Function') return `a call of ${callee.name}`;
    const isTimer = /^set(?:Timeout|Interval|Immediate)$/.test(String(callee.name));
    return isTimer && isText(first) ? 'a timer with a text' : undefined;
  }
  if (callee.type !== 'MemberExpression') return undefined;
  const name = nameOfMember(callee);
  if (name === undefined) return undefined;
  if (NEVER.has(name)) return name;
  if (name === 'constructor' || name === 'Function') return `a call of ${name}`;
  if (RUN_IN_PAGES.has(name))
    return isOwnFunction(first, path, trees) ? undefined : `${name} of what is no function of ours`;
  if (name === 'locator')
    return /^css=/.test(startOf(first) ?? '') ? undefined : 'a locator that is not said to be CSS';
  if (name === 'send') return sentProblem(literalOf(first), second, path, trees);
  return undefined;
}

/** Chromium's own protocol: a function may be called by its source alone. */
function sentProblem(
  method: string | undefined,
  given: unknown,
  path: string,
  trees: ReadonlyMap<string, Tree>,
): string | undefined {
  if (method === undefined) return undefined;
  if (NEVER_SENT.test(method)) return method;
  if (method !== 'Runtime.callFunctionOn') return undefined;
  const source = propertyOf(given, 'functionDeclaration');
  const isString =
    isTree(source) && source.type === 'CallExpression' && isTree(source.callee) && source.callee.name === 'String';
  const [of] = isString && Array.isArray(source.arguments) ? (source.arguments as unknown[]) : [];
  return isOwnFunction(of, path, trees) ? undefined : `${method} of what is no function of ours`;
}

/** A function written here, or one that is declared in a file of ours under the name that it is imported by. */
function isOwnFunction(node: unknown, path: string, trees: ReadonlyMap<string, Tree>): boolean {
  if (!isTree(node)) return false;
  if (node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression') return true;
  if (node.type !== 'Identifier') return false;
  const tree = trees.get(path);
  if (declares(tree, node.name)) return true;
  const imported = [...nodesIn(tree)].find(
    ({ type, specifiers }) =>
      type === 'ImportDeclaration' &&
      Array.isArray(specifiers) &&
      specifiers.some(({ local, imported: original }) => local?.name === node.name && original?.name === node.name),
  );
  const from = literalOf(imported?.source);
  return from !== undefined && declares(trees.get(posix.join(posix.dirname(path), from)), node.name);
}

/** At the top of the file, where nothing else can have the name. */
function declares(tree: Tree | undefined, name: unknown): boolean {
  const body = Array.isArray(tree?.body) ? (tree.body as unknown[]) : [];
  return body.some((statement) => {
    const declared =
      isTree(statement) && statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    return (
      isTree(declared) && declared.type === 'FunctionDeclaration' && isTree(declared.id) && declared.id.name === name
    );
  });
}

function nameOfMember({ property, computed }: Tree): string | undefined {
  if (computed === true) return literalOf(property);
  return isTree(property) && typeof property.name === 'string' ? property.name : undefined;
}

function propertyOf(object: unknown, name: string): unknown {
  const properties = isTree(object) && Array.isArray(object.properties) ? (object.properties as unknown[]) : [];
  const found = properties.find((one) => isTree(one) && isTree(one.key) && one.key.name === name);
  return isTree(found) ? found.value : undefined;
}

function literalOf(node: unknown): string | undefined {
  return isTree(node) && node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;
}

/** What a text begins with, for sure. */
function startOf(node: unknown): string | undefined {
  if (!isTree(node) || node.type !== 'TemplateLiteral') return literalOf(node);
  const [first] = Array.isArray(node.quasis) ? (node.quasis as unknown[]) : [];
  const value = isTree(first) ? (first.value as { cooked?: unknown } | undefined) : undefined;
  return typeof value?.cooked === 'string' ? value.cooked : undefined;
}

function isText(node: unknown): boolean {
  return isTree(node) && ['Literal', 'TemplateLiteral', 'BinaryExpression'].includes(node.type);
}

/** What a type of plain values can't hold. */
const NO_VALUES = /^TS(?:Function|Constructor)Type$|^TSMethodSignature$|^TS(?:Any|Unknown|Object)Keyword$/;

/** @returns the nodes of a type's declaration that are no plain values, in words; `undefined` when there is no such type. */
export function otherThanValues(tree: Tree, name: string): readonly string[] | undefined {
  const found = [...nodesIn(tree)].find(
    ({ type, id }) => /^TS(?:TypeAlias|Interface)Declaration$/.test(type) && isTree(id) && id.name === name,
  );
  return found && [...nodesIn(found)].filter(({ type }) => NO_VALUES.test(type)).map(({ type }) => type);
}
