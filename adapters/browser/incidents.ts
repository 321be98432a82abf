import type { EgressReason, EgressRefusal } from '../../core/ports/egress.ts';

/** Asked by Chromium itself for each form it sees; refused like everything else, but not the page's doing. */
const CHROMIUMS_OWN = 'content-autofill.googleapis.com:443';

const WORDS: Readonly<Record<EgressReason, string>> = {
  not_listed: 'not on the list',
  private_address: 'a private address',
  unresolvable: 'the name is unknown',
  malformed: 'not readable',
};

/** One sentence for each refused place, however often it was asked for. */
export function describeRefusals(refusals: readonly EgressRefusal[]): string[] {
  const own = refusals.filter((refusal) => refusal.authority !== CHROMIUMS_OWN);
  return [
    ...new Set(
      own.map(({ authority, reason }) => `A connection to ${shortened(authority)} was refused (${WORDS[reason]}).`),
    ),
  ];
}

/** Only the end of a name: its front part is where a page would put what it wants to carry out. */
function shortened(authority: string): string {
  if (/^\[|^[\d.]+:\d+$/.test(authority)) return authority;
  const labels = authority.split('.');
  return labels.length <= 2 ? authority : `….${labels.slice(-2).join('.')}`;
}
