import { bad, good } from '../answers.ts';
import { clock, encryption, openSite, place, type Site, signIn, silence } from '../examine-site.ts';
import type { ExamineInput, Finding } from '../service.ts';

/** What a shop shows without any key: its REST API, WooCommerce, its clock, and whether it asks for the sign-in where expected. */
export async function examine(input: ExamineInput): Promise<readonly Finding[]> {
  const site = await openSite(input);
  return [
    encryption(input, 'a password and a key'),
    clock(site, 'Signed requests fail from 15 minutes on.'),
    ...restApi(input, site),
    await signIn(site),
  ];
}

function restApi(input: ExamineInput, site: Site): readonly Finding[] {
  if (site.index === undefined) return [silence(site, 'shop', 'key')];
  return [
    site.isPlain
      ? bad('Its REST API has no address: in WordPress under Settings › Permalinks, choose anything but “Plain”.')
      : good('Its REST API answers.'),
    ...place(input, site.index),
    site.index.namespaces.includes('wc/v3')
      ? good('WooCommerce is active.')
      : bad('WordPress is here, but WooCommerce is not active, or too old: its REST API “wc/v3” is missing.'),
  ];
}
