import type { ChatEvent } from '../core/ports/chat.ts';
import { openLinkForm } from './accounts-flow.ts';
import { workAlone } from './approvers-flow.ts';
import { shareAudit, showAudit } from './commands/audit.ts';
import { revokeConsent } from './commands/consents.ts';
import { pauseOperation, resumeOperation, retryOperation } from './commands/pause.ts';
import { revokeResult } from './commands/revoke.ts';
import { stopAll, stopOperation, stopTogether } from './commands/stop.ts';
import { approve, chooseWay, openDenyForm, openPermissionsForm, showGuide } from './consent-flow.ts';
import type { Context, Scene } from './context.ts';
import { enterSignIn } from './credential-flow.ts';
import { showHome } from './home.ts';
import { goOn, sendCodeLink } from './human-flow.ts';
import { approveStanding, keepSignIn, keepWorking, openDenyStandingForm } from './keep-flow.ts';
import { changeKeyOf } from './key-flow.ts';
import { sayFor } from './message-flow.ts';
import { openNotify } from './notify-flow.ts';
import { rateResult } from './rating.ts';
import { renewConsent } from './renew-flow.ts';
import { sendRevealLink } from './reveal-flow.ts';
import { APPROVERS_FORM, openSettings } from './settings-flow.ts';
import { whisperWords } from './speak.ts';
import { approveTogether, openDenyTogetherForm, splitTogether } from './together-consent-flow.ts';
import { confirmHeard, editHeard } from './voice-flow.ts';

type Action = Extract<ChatEvent, { kind: 'action' }>;

/** A button → the flow that it belongs to. */
export async function press(context: Context, scene: Scene, event: Action): Promise<void> {
  await pressed(context, scene, event);
  if (event.isFromHome) await showHome(context, scene.customerId, scene.member, event);
}

async function pressed(context: Context, scene: Scene, event: Action): Promise<void> {
  const { customerId, member } = scene;
  switch (event.action) {
    case 'approve':
      return approve(context, customerId, member, event);
    case 'deny':
      return openDenyForm(context, customerId, member, event);
    case 'approve_together':
      return approveTogether(context, customerId, member, event);
    case 'deny_together':
      return openDenyTogetherForm(context, customerId, member, event);
    case 'split_together':
      return splitTogether(context, customerId, member, event);
    case 'stop_together':
      return stopTogether(context, customerId, member, event);
    case 'choose_permissions':
      return openPermissionsForm(context, customerId, member, event);
    case 'choose_way':
      return chooseWay(context, customerId, member, event);
    case 'guide':
      return showGuide(context, customerId, member, event);
    case 'choose_approvers':
      return openSettings(context, customerId, member, event, APPROVERS_FORM);
    case 'link_accounts':
      return openLinkForm(context, customerId, member, event);
    case 'work_alone':
      return workAlone(context, customerId, member, event);
    case 'enter_sign_in':
      return enterSignIn(context, customerId, member, event);
    case 'enter_code':
      return sendCodeLink(context, customerId, member, event);
    case 'go_on':
      return goOn(context, customerId, member, event);
    case 'stop':
      return stopOperation(context, customerId, member, event, event.value);
    case 'stop_all':
      return stopAll(context, customerId, member, event);
    case 'pause':
      return pauseOperation(context, customerId, member, event, event.value);
    case 'resume':
      return resumeOperation(context, customerId, member, event, event.value);
    case 'retry':
      return retryOperation(context, customerId, member, event, event.value);
    case 'audit':
    case 'audit_page':
      return showAudit(context, customerId, member, event, event.value);
    case 'share_audit':
      return shareAudit(context, customerId, member, event);
    case 'heard': {
      const said = await confirmHeard(context, member, event);
      // However often it is pressed, it is said once.
      const { message, thread } = event;
      const id = message ? `heard/${thread.ref}/${message.ref}` : event.id;
      return said === undefined ? undefined : sayFor(context, scene, { ...event, id }, said);
    }
    case 'edit_heard':
      return editHeard(context, member, event);
    case 'rate':
      return rateResult(context, customerId, member, event);
    case 'renew_consent':
      return renewConsent(context, customerId, member, event);
    case 'notify':
      return openNotify(context, customerId, member, event);
    case 'revoke_consent':
      return revokeConsent(context, customerId, member, event);
    case 'reveal':
      return sendRevealLink(context, customerId, member, event);
    case 'revoke':
      return revokeResult(context, customerId, member, event);
    case 'rotate':
      return changeKeyOf(context, { ...scene, event }, event, 'credential_rotation');
    case 'keep_working':
      return keepWorking(context, customerId, member, event);
    case 'approve_standing':
      return approveStanding(context, customerId, member, event);
    case 'deny_standing':
      return openDenyStandingForm(context, event);
    case 'keep_sign_in':
      return keepSignIn(context, customerId, member, event);
    case 'revoke_there':
      return changeKeyOf(context, { ...scene, event }, event, 'credential_revocation');
    default:
      return whisperWords(context, event, 'This button is from another version. Nothing was changed.');
  }
}
