import { escapeHtml } from './html.ts';
import { field } from './input.ts';
import type { KeyDraft, KeyPermissions } from './keys.ts';
import { KEYS_PATH } from './pages/visit.ts';
import { json, type Reply, text } from './reply.ts';
import { type Shop, takeFault } from './state.ts';

/** `/wp-admin/admin-ajax.php`. WordPress answers `0` to strangers and unknown actions, `-1` to a wrong nonce. */
export function answerAjax(shop: Shop, session: string | undefined, form: unknown): Reply {
  if (!session) return text('0', 400);
  switch (field(form, 'action')) {
    case 'woocommerce_update_api_key':
      return updateKey(shop, session, form);
    case 'woocommerce_json_search_customers':
      return searchCustomers(shop, session, form);
    case 'practice_hold':
      return hold(shop, form);
    default:
      return text('0', 400);
  }
}

function updateKey(shop: Shop, session: string, form: unknown): Reply {
  if (field(form, 'security') !== shop.sessions.nonce(session, 'update-api-key')) return text('-1', 403);
  const draft = draftOf(form);
  if (typeof draft === 'string') return json({ success: false, data: { message: draft } });
  const id = Number.parseInt(field(form, 'key_id'), 10) || 0;
  if (id !== 0) return changeKey(shop, id, draft);
  if (takeFault(shop, 'generate-refused')) return text('', 500);
  const answer = makeKey(shop, session, draft);
  if (takeFault(shop, 'generate-connection-dropped')) return { kind: 'hang-up' };
  if (takeFault(shop, 'generate-answer-lost')) return text('', 500);
  return json({ success: true, data: answer });
}

/** @returns the sentence that WooCommerce shows when something is missing. */
function draftOf(form: unknown): KeyDraft | string {
  const description = field(form, 'description').trim();
  if (description === '') return 'Description is missing.';
  if (field(form, 'user') === '') return 'User is missing.';
  const permissions = field(form, 'permissions');
  if (permissions === '') return 'Permissions is missing.';
  return { description, permissions: isPermissions(permissions) ? permissions : 'read' };
}

function isPermissions(text: string): text is KeyPermissions {
  return text === 'read' || text === 'write' || text === 'read_write';
}

/** The one answer that carries the secret; the shop itself keeps hashes. */
function makeKey(shop: Shop, session: string, draft: KeyDraft) {
  const key = shop.keys.create(draft);
  const revoke = `${shop.origin}${KEYS_PATH}&revoke-key=${key.id}&_wpnonce=${shop.sessions.nonce(session, 'revoke')}`;
  return {
    user_id: shop.owner.id,
    description: draft.description,
    permissions: draft.permissions,
    consumer_key: key.consumerKey,
    consumer_secret: key.consumerSecret,
    truncated_key: key.consumerKeyEnding,
    key_id: key.id,
    message:
      'API Key generated successfully. Make sure to copy your new keys now as the secret key will be hidden once you leave this page.',
    revoke_url: `<a class="revoke-link" href="${escapeHtml(revoke)}">Revoke key</a>`,
  };
}

function changeKey(shop: Shop, id: number, draft: KeyDraft): Reply {
  if (!shop.keys.update(id, draft)) return text('-1', 403);
  const message = 'API Key updated successfully.';
  const empty = { consumer_key: '', consumer_secret: '' };
  return json({ success: true, data: { ...draft, ...empty, user_id: shop.owner.id, message } });
}

function hold(shop: Shop, form: unknown): Reply {
  const found = shop.holds[Number.parseInt(field(form, 'hold'), 10)];
  if (!found) return text('0', 400);
  found.asked += 1;
  return json({ isHeld: found.isHeld });
}

/** Names of people as the "User" widget lists them: `{ "1": "store-admin (#1 – …)" }`. */
function searchCustomers(shop: Shop, session: string, form: unknown): Reply {
  if (field(form, 'security') !== shop.sessions.nonce(session, 'search-customers')) return text('-1', 403);
  const { id, username, email } = shop.owner;
  const label = `${username} (#${id} – ${email})`;
  const isFound = label.toLowerCase().includes(field(form, 'term').toLowerCase());
  return json(isFound ? { [id]: label } : {});
}
