import { describe, expect, test } from 'vitest';
import type { ModelAction } from '../../core/ports/model.ts';
import { asks, says } from '../support/anthropic/server.ts';
import { brief, CLICK, CLICKED, LOOK, NO_BROWSER, usePageModel } from '../support/page-model.ts';
import { recordingHands } from '../support/recording-hands.ts';

const page = usePageModel();

describe('a wish', () => {
  const ref = { type: 'ref', ref: 'ref_7' };
  const at = { by: 'ref', ref: 'ref_7' } as const;
  const coordinate = { type: 'coordinate', x: 10, y: 20 };
  const point = { by: 'point', x: 10, y: 20 } as const;

  test.each<[string, object, ModelAction]>([
    ['left_click', { target: ref }, { kind: 'click', at }],
    ['left_click', { target: coordinate, tab_id: '1', modifiers: null }, { kind: 'click', at: point }],
    ['double_click', { target: ref }, { kind: 'click', at }],
    ['triple_click', { target: ref }, { kind: 'click', at }],
    ['hover', { target: ref }, { kind: 'hover', at }],
    ['mouse_move', { target: coordinate }, { kind: 'hover', at: point }],
    ['form_input', { target: ref, value: '{{name}}' }, { kind: 'type', text: '{{name}}', at }],
    ['form_input', { target: ref, value: 7 }, { kind: 'type', text: '7', at }],
    ['form_input', { target: ref, value: true }, { kind: 'tick', isChecked: true, at }],
    ['type', { text: 'shop' }, { kind: 'type', text: 'shop' }],
    ['key', { text: 'Return' }, { kind: 'key', keys: 'Enter', times: 1 }],
    ['key', { text: 'ctrl+shift+a', repeat: 2 }, { kind: 'key', keys: 'Control+Shift+a', times: 2 }],
    ['key', { text: 'ctrl++' }, { kind: 'key', keys: 'Control++', times: 1 }],
    ['key', { text: 'f5' }, { kind: 'key', keys: 'F5', times: 1 }],
    ['scroll', { target: coordinate, scroll_direction: 'down' }, { kind: 'scroll', at: point, deltaY: 300 }],
    [
      'scroll',
      { target: coordinate, scroll_direction: 'up', scroll_amount: 99 },
      { kind: 'scroll', at: point, deltaY: -1000 },
    ],
    ['scroll_to', { target: ref }, { kind: 'scroll', at, deltaY: 0 }],
    ['screenshot', {}, { kind: 'screenshot' }],
    ['read_page', { filter: 'interactive' }, { kind: 'read', what: 'controls' }],
    ['read_page', { depth: 3, ref: 'ref_1' }, { kind: 'read', what: 'all' }],
    ['get_page_text', {}, { kind: 'read', what: 'text' }],
    ['find', { query: 'the button' }, { kind: 'find', query: 'the button' }],
    ['navigate', { url: 'https://x.example/' }, { kind: 'navigate', url: 'https://x.example/' }],
    ['wait', { duration: 0.5 }, { kind: 'wait', ms: 500 }],
  ])('by the browser toolset’s %s %j is carried out', async (name, input, action) => {
    page.server.script(asks('browser', [[name, input]]), says('Done.'));
    const hands = recordingHands();
    await page.model().converse(brief(), hands);
    expect(hands.performed).toEqual([action]);
    expect(page.told()[0]?.is_error).toBeUndefined();
  });

  test.each<[string, object, ModelAction]>([
    ['left_click', { coordinate: [10, 20] }, { kind: 'click', at: point }],
    ['double_click', { coordinate: [10, 20], text: null }, { kind: 'click', at: point }],
    ['mouse_move', { coordinate: [10, 20] }, { kind: 'hover', at: point }],
    ['type', { text: 'shop' }, { kind: 'type', text: 'shop' }],
    ['key', { text: 'Page_Down', repeat: 3 }, { kind: 'key', keys: 'PageDown', times: 3 }],
    ['scroll', { scroll_direction: 'down', scroll_amount: 5 }, { kind: 'scroll', deltaY: 500 }],
    ['screenshot', {}, { kind: 'screenshot' }],
    ['wait', { duration: 300 }, { kind: 'wait', ms: 5000 }],
  ])('by the computer toolset’s %s %j is carried out', async (name, input, action) => {
    page.server.script(NO_BROWSER, asks('computer', [[name, input]]));
    page.server.script(says('Done.'));
    const hands = recordingHands();
    await page.model().converse(brief(), hands);
    expect(hands.performed).toEqual([action]);
    expect(page.told()[0]?.is_error).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    ['javascript_exec', { text: 'fetch("https://evil.example")' }, /no such action/],
    ['read_network', {}, /no such action/],
    ['read_console', {}, /no such action/],
    ['file_upload', { target: ref, paths: ['/etc/passwd'] }, /no such action/],
    ['new_tab', {}, /no such action/],
    ['zoom', { region: [0, 0, 1, 1] }, /no such action/],
    ['right_click', { target: ref }, /no such action/],
    ['left_click_drag', { from: coordinate, target: coordinate }, /no such action/],
    ['hold_key', { text: 'a', duration: 1 }, /no such action/],
    ['levitate', {}, /no such action/],
    ['constructor', {}, /no such action/],
    ['__proto__', {}, /no such action/],
    ['left_click', { target: ref, modifiers: 'ctrl' }, /does not fit/],
    ['left_click', { target: ref, tab_id: '2' }, /does not fit/],
    ['left_click', { target: { type: 'coordinate', x: '10', y: 20 } }, /does not fit/],
    ['left_click', {}, /does not fit/],
    ['left_click', 'somewhere', /does not fit/],
    ['left_click', null, /does not fit/],
    ['left_click', { target: { type: 'coordinate', x: 1280, y: 20 } }, /outside/],
    ['left_click', { target: { type: 'coordinate', x: 10, y: -1 } }, /outside/],
    ['key', { text: 'Tab Tab Return' }, /one known key/],
    ['key', { text: 'hyper+x' }, /one known key/],
    ['key', { text: '' }, /one known key/],
    ['scroll', { target: coordinate, scroll_direction: 'left' }, /up and down/],
    ['navigate', { url: ' Back' }, /no going back/],
    ['navigate', { url: 'reload' }, /no going back/],
    ['wait', { duration: -1 }, /does not fit/],
    ['type', { text: 7 }, /does not fit/],
  ])('for %s %j is refused, and the conversation goes on', async (name, input, words) => {
    page.server.script(asks('browser', [[name, input]]), says('I see.'));
    const hands = recordingHands();
    expect(await page.model().converse(brief(), hands)).toMatchObject({ kind: 'gave_up', turns: 2 });
    expect(hands.performed).toEqual([]);
    expect(page.told()).toEqual([
      expect.objectContaining({ is_error: true, content: [{ type: 'text', text: expect.stringMatching(words) }] }),
    ]);
  });

  test('for a member of no toolset or of the other one is refused, and answered as it came', async () => {
    const call = { type: 'tool_use', name: 'screenshot', input: {} } as const;
    page.server.script({ kind: 'message', content: [call, { ...call, toolset_name: 'computer' }] }, says('I see.'));
    const hands = recordingHands();
    await page.model().converse(brief(), hands);
    expect(hands.performed).toEqual([]);
    expect(page.told().map(({ toolset_name }) => toolset_name)).toEqual([undefined, 'computer']);
  });

  test('for a point is refused as long as there was no picture', async () => {
    page.server.script(asks('browser', [CLICK]), asks('browser', [LOOK, CLICK]), says('Done.'));
    const hands = recordingHands();
    const { picture: _, ...blind } = brief();
    await page.model().converse(blind, hands);
    expect(hands.performed).toEqual([{ kind: 'screenshot' }, CLICKED]);
  });
});
