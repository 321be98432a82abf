/** What each family of models takes. Sources: the vendor's pages on computer use, browser use and vision, November 2026. */

/** The 5.5 family. */
export function isNewest(model: string): boolean {
  return /-5-5\b/.test(model);
}

/** Fable and Mythos from 5, Opus from 4.8, Sonnet from 5, Haiku 5.5. */
export function takesToolsets(model: string): boolean {
  return /^claude-(?:(?:fable|mythos|opus|sonnet)-5(?:-\d)?|opus-4-8|haiku-5-5)\b/.test(model);
}

interface Legacy {
  readonly header: string;
  readonly models: RegExp;
}
/** The tools that toolsets replaced, each behind a header of its own. */
export const LEGACY_TOOLS: Readonly<Record<string, Legacy>> = {
  computer_20251124: {
    header: 'computer-use-2025-11-24',
    models: /^claude-(?:opus-4-[5-8]|opus-5|sonnet-4-6|sonnet-5|fable-5(?:-1)?)(?!-\d\b)/,
  },
  computer_20250124: {
    header: 'computer-use-2025-01-24',
    models: /^claude-(?:sonnet|haiku)-4-5\b|^claude-(?:opus|sonnet)-4-[01]\b/,
  },
};

/** The largest picture: its longer side in pixels, and its 28 × 28 patches. */
export function pictureLimits(model: string): { readonly side: number; readonly tokens: number } {
  const isHigh = /^claude-(?:opus-4-[78]|\w+-5)\b/.test(model);
  return isHigh ? { side: 2576, tokens: 4784 } : { side: 1568, tokens: 1568 };
}

export const MEMBERS: Readonly<Record<'browser' | 'computer', readonly string[]>> = {
  browser: [
    ...['navigate', 'screenshot', 'zoom', 'left_click', 'right_click', 'middle_click', 'double_click', 'triple_click'],
    ...['hover', 'left_click_drag', 'left_mouse_down', 'left_mouse_up', 'mouse_move', 'scroll', 'scroll_to', 'type'],
    ...['key', 'hold_key', 'form_input', 'read_page', 'find', 'get_page_text', 'wait', 'file_upload', 'read_console'],
    ...['read_network', 'javascript_exec', 'new_tab', 'list_tabs', 'switch_tab', 'close_tab'],
  ],
  computer: [
    ...['key', 'hold_key', 'type', 'cursor_position', 'mouse_move', 'left_mouse_down', 'left_mouse_up', 'left_click'],
    ...['left_click_drag', 'right_click', 'middle_click', 'double_click', 'triple_click', 'scroll', 'wait'],
    ...['screenshot', 'zoom'],
  ],
};
/** Members whose success is one `browser_state` and nothing else. */
export const TAB_MEMBERS = ['new_tab', 'list_tabs', 'switch_tab', 'close_tab'];
