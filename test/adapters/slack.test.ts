import { capabilities } from '../../adapters/slack/config.ts';
import { chatContract } from '../contracts/chat.ts';
import { openSlackByHand } from '../support/slack/by-hand.ts';

const promises = { capabilities, tellsRepeatedPosts: false };
chatContract('Slack, over HTTP,', () => openSlackByHand('http'), promises);
chatContract('Slack, over a socket,', () => openSlackByHand('socket'), promises);
