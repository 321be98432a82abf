import { PAGES_OF_SECRETS } from './injection-secret-pages.ts';
import { sufferAll } from './injection-suite.ts';

sufferAll(PAGES_OF_SECRETS);
