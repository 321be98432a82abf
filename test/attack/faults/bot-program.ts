// The program as `ROLE=bot` starts it, on the chat of the fault suite: `node bot-program.ts '{"chatUrl": …, "port": …}'`.
import { readConfig } from '../../../bot/config.ts';
import { explain } from '../../../bot/explain.ts';
import { start, stopOnSignals } from '../../../bot/main.ts';
import { createHttpChat, type HttpChatOptions } from './http-chat.ts';

try {
  // The suite that starts this program wrote the argument.
  const chat = createHttpChat(JSON.parse(process.argv[2] ?? '') as HttpChatOptions);
  const app = await start(readConfig(process.env), { chat });
  stopOnSignals(app.stop, () => {});
  process.stderr.write('Countersign is ready.\n');
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
