import { PAGES_OF_CHANGES } from './injection-pages.ts';
import { sufferAll } from './injection-suite.ts';

sufferAll(PAGES_OF_CHANGES);
