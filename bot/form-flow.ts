import type { ChatEvent, ChatReply } from '../core/ports/chat.ts';
import { LINK_FORM, submitLink } from './accounts-flow.ts';
import { DENY_FORM, PERMISSIONS_FORM, submitDenial, submitPermissions } from './consent-flow.ts';
import type { Context, Scene } from './context.ts';
import { DENY_STANDING_FORM, submitDenialOfStanding } from './keep-flow.ts';
import { sayFor } from './message-flow.ts';
import { NOTIFY_FORM, submitNotify } from './notify-flow.ts';
import { APPROVERS_FORM, SETTINGS_FORM, submitSettings } from './settings-flow.ts';
import { whisperWords } from './speak.ts';
import { DENY_TOGETHER_FORM, submitDenialTogether } from './together-consent-flow.ts';
import { HEARD_FORM } from './voice-flow.ts';

type Form = Extract<ChatEvent, { kind: 'form' }>;

/** A form that was sent → the flow that opened it. */
export async function submit(context: Context, scene: Scene, event: Form): Promise<ChatReply> {
  const errors = await submitted(context, scene, event);
  return errors && { fieldErrors: errors };
}

async function submitted(context: Context, scene: Scene, event: Form) {
  const { customerId, member } = scene;
  switch (event.form) {
    case APPROVERS_FORM:
    case SETTINGS_FORM:
      return submitSettings(context, customerId, member, event);
    case LINK_FORM:
      return submitLink(context, customerId, member, event);
    case DENY_FORM:
      return submitDenial(context, customerId, member, event);
    case DENY_STANDING_FORM:
      return submitDenialOfStanding(context, customerId, member, event);
    case DENY_TOGETHER_FORM:
      return submitDenialTogether(context, customerId, member, event);
    case PERMISSIONS_FORM:
      return submitPermissions(context, customerId, member, event);
    case NOTIFY_FORM:
      return submitNotify(context, customerId, member, event);
    case HEARD_FORM:
      await sayFor(context, scene, event, event.fields.words?.[0] ?? '');
      return undefined;
    default:
      await whisperWords(context, event, 'This form is from another version. Nothing was changed.');
      return undefined;
  }
}
