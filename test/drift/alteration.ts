import { readFileSync } from 'node:fs';
import type { Alteration } from '../practice/woocommerce/server.ts';
import { IDENTIFIERS, INTENDED, type Mutation } from './mutations.ts';

const HELPERS = readFileSync(new URL('in-page.js', import.meta.url), 'utf8');

/** The practice shop's pages as the mutation has them; identifiers change in markup, scripts and styles together. */
export function alterationOf(mutation: Mutation): Alteration {
  const { identifiers, only = IDENTIFIERS, fields = {}, words = [], script = '' } = mutation;
  const ways = Object.entries(fields);
  const rename = (text: string) => (identifiers ? renamed(text, only, identifiers) : text);
  return {
    text(content, type) {
      if (type !== 'html') return rename(content);
      const code = `<script>{${HELPERS.replace('INTENDED', JSON.stringify(INTENDED))}\n${script}}</script>`;
      const spoken = words.reduce((text, [old, now]) => text.replaceAll(old, now), content);
      const named = ways.reduce((text, [old, now]) => text.replaceAll(` name="${old}"`, ` name="${now}"`), spoken);
      return rename(named.replace('</body>', () => `${code}</body>`));
    },
    field: (name) => ways.find(([, now]) => now === name)?.[0] ?? name,
  };
}

/** Each as a whole: neither a part of another identifier, nor of an address. */
function renamed(text: string, names: readonly string[], rename: (name: string) => string): string {
  const any = names.join('|');
  return text.replace(new RegExp(`(?<![\\w/-])(?:${any})(?![\\w/-])`, 'g'), rename);
}
