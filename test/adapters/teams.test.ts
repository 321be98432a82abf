import { capabilities } from '../../adapters/teams/config.ts';
import { chatContract } from '../contracts/chat.ts';
import { openTeamsByHand } from '../support/teams/by-hand.ts';

const promises = { capabilities, tellsRepeatedPosts: false };
chatContract('Teams, by an Azure Bot,', () => openTeamsByHand('azure'), promises);
chatContract('Teams, by a client on this computer,', () => openTeamsByHand('local'), promises);
