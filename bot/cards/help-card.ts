import type { Card } from '../../core/ports/chat.ts';
import type { Service } from '../../core/services/service.ts';
import { code, text } from './text.ts';

/** What the bot can do, for somebody who has never met it. */
export function helpCard(
  services: readonly Service[],
  lead = 'I set up store integrations, step by step, where everybody can watch.',
): Card {
  const known = services.map((service) => service.name).join(', ');
  return {
    summary: `${lead} I know: ${known}.`,
    blocks: [
      { kind: 'text', text: [text(lead)] },
      {
        kind: 'facts',
        rows: [
          { label: 'Ask', value: [text(`“set up ${services[0]?.name ?? 'WooCommerce'} for shop.example.com”`)] },
          { label: 'I know', value: [text(known)] },
          {
            label: 'Then',
            value: [
              text('an approver countersigns, you enter the sign-in on a one-time page, and you watch it happen'),
            ],
          },
          { label: 'Look back', value: [code('/audit op-…'), text(' for admins')] },
          {
            label: 'More',
            value: [
              code('/countersign operations'),
              text(' '),
              code('/countersign stop op-…'),
              text(' '),
              code('/countersign pause op-…'),
              text(' '),
              code('/countersign resume op-…'),
              text(' '),
              code('/countersign retry op-…'),
              text(' '),
              code('/countersign consents'),
              text(' '),
              code('/countersign credentials'),
              text(' '),
              code('/countersign test woocommerce for shop.example.com'),
              text(' '),
              code('/countersign link'),
              text(' '),
              code('/countersign stop all'),
              text(' '),
              code('/countersign settings'),
            ],
          },
        ],
      },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text('Nothing runs that nobody countersigned. Passwords and keys never belong in chat.')],
      },
    ],
  };
}
