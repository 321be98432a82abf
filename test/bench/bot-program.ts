// The program as `ROLE=bot` starts it, on a chat in memory whose platform knows everybody: `node bot-program.ts`.
import { readConfig } from '../../bot/config.ts';
import { explain } from '../../bot/explain.ts';
import { start, stopOnSignals } from '../../bot/main.ts';
import { createRecordingChat } from '../support/recording-chat.ts';

try {
  const chat = { ...createRecordingChat(), listen() {}, async start() {}, async stop() {} };
  const app = await start(readConfig(process.env), { chat });
  stopOnSignals(app.stop, () => {});
  process.stderr.write(`Countersign is ready at ${app.urls.http}.\n`);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
