import type { Action, BrowserSession, FoundElement, Locator } from '../../core/ports/browser.ts';
import { openTestBrowser, type TestBrowser } from './browser.ts';
import { type LoopbackSite, serveSite } from './loopback-site.ts';

/** A site with a page for each thing that a browser meets, and a session that may go there. */
export interface BrowserScene extends TestBrowser {
  readonly site: LoopbackSite;
  readonly session: BrowserSession;
  /** Lets the script come that binds the button of `/bound`. */
  bind(): void;
  openPage(path: string): ReturnType<BrowserSession['navigate']>;
  /** @throws Error unless it is there, once. */
  the(locator: Locator, hiddenIsFine?: boolean, inSession?: BrowserSession): Promise<FoundElement>;
  act(locator: Locator, action: Action, hiddenIsFine?: boolean): Promise<void>;
  valueAt(selector: string): Promise<string>;
}

export const css = (selector: string): Locator => ({ by: 'css', selector });

const FORM = `<title>Key details</title>
<style>.far { margin-top: 1500px } .gone { display: none }
  .select2-hidden-accessible { clip: rect(0 0 0 0); height: 1px; width: 1px; overflow: hidden; position: absolute }
  .widget { display: inline-block; width: 300px; height: 30px }</style>
<h1>Key details</h1>
<label for="d">Description</label> <input id="d" type="text" placeholder="What for">
<div class="gone"><button>Generate</button></div> <button id="go">Generate</button>
<button>Copy</button> <button>Copy</button>
<label for="p">Permissions</label>
<select id="p" class="select2-hidden-accessible" aria-hidden="true" tabindex="-1">
  <option value="read">Read</option><option value="write">Write</option><option value="read_write">Read/Write</option></select>
<span class="widget" id="w">Read</span>
<label><input type="checkbox" id="c"> Remember me</label>
<table><tr><th>Consumer secret</th><td><input readonly id="s" value="cs_1"></td></tr></table>
<div id="editable" contenteditable>words</div>
<div id="out"></div>
<p class="far"><a id="below" href="#">At the bottom</a></p>
<script>
  p.onchange = () => { w.textContent = p.selectedOptions[0].text };
  go.onclick = () => { out.textContent = 'made'; out.className = 'ready' };
  d.onkeydown = (event) => { if (event.key === 'Enter') out.textContent = 'entered' };
</script>`;

export async function openBrowserScene(): Promise<BrowserScene> {
  const { promise: binding, resolve: bind } = Promise.withResolvers<void>();
  const other = await serveSite({ '/field': '<input id="x" aria-label="Elsewhere">' });
  const site = await serveSite({
    '/form': FORM,
    '/to-bound': '<a id="to" href="/bound">On</a>',
    '/bound': '<button id="late">Make</button><input id="made"><script src="/binding"></script>',
    '/binding': async (_, response) => {
      await binding;
      response.setHeader('content-type', 'text/javascript');
      response.end(
        `document.querySelector('#late').onclick = () => { document.querySelector('#made').value = 'made' }`,
      );
    },
    '/late': `<p>wait</p><script>setTimeout(() => { document.body.innerHTML = '<button>Ready</button>' }, 300)</script>`,
    '/leave': `<input id="x"><script>onbeforeunload = (event) => { event.preventDefault(); return 'stay?' }</script>`,
    '/popup': `<button id="b" onclick="window.open('/form'); alert('boo'); done.textContent = 'yes'">Open</button><p id="done"></p>`,
    '/opens': `<a id="blank" href="/closes" target="_blank" rel="noopener">New</a>
      <button id="own" onclick="window.open('/closes')">Own</button>
      <button id="two" onclick="window.open('/form'); window.open('/inner')">Two</button>
      <button id="away" onclick="window.open('http://127.0.0.1:${other.port}/field')">Away</button>`,
    '/closes': `<button id="end" onclick="window.close()">Done</button>
      <button id="early" onpointerdown="window.close()">Gone before the button is let go</button>
      <button id="late" onclick="setTimeout(() => window.close(), 300)">Soon</button>`,
    '/download': `<a href="/file" download="f.bin" id="a">Get</a>`,
    '/file': (_asked, response) => {
      response.setHeader('content-disposition', 'attachment; filename=f.bin');
      response.end('bytes');
    },
    '/frame': `<iframe src="/inner"></iframe>`,
    '/inner': `<label>Inside <input id="i"></label>`,
    '/tick': `<input type="checkbox" id="tick">`,
    '/foreign-frame': `<iframe src="http://127.0.0.1:${other.port}/field"></iframe>`,
    '/blob-frame': `<script>
      const put = (html) => document.body.append(Object.assign(document.createElement('iframe'), { src: URL.createObjectURL(new Blob([html], { type: 'text/html' })) }));
      onload = () => { put('<label>In a blob <input id="z"></label>'); put('<iframe src="' + location.origin + '/inner"></iframe>'); document.body.insertAdjacentHTML('beforeend', '<iframe srcdoc="<label>In a srcdoc <input></label>"></iframe><p id="put">put</p>') };</script>`,
    '/long': `<button id="b">${'long '.repeat(400)}</button><button id="vast">${'x'.repeat(300_000)}</button>
      <input id="v" aria-label="Value"><p id="t">${'text '.repeat(20_000)}</p>
      <script>document.title = 't'.repeat(1e6); v.value = 'v'.repeat(1e6); history.replaceState(0, '', '/long?' + 'q'.repeat(5000))</script>`,
    '/away': (_asked, response) => void response.writeHead(302, { location: 'http://elsewhere.test/' }).end(),
    '/hop': `<script>location.href = '/form'</script>`,
    '/busy': `<button id="b" onclick="setTimeout(() => { for (;;); }, 200)">Loop</button>`,
    '/cookie': (_asked, response) =>
      void response.writeHead(200, { 'set-cookie': 'seen=1', 'content-type': 'text/html' }).end('<p>set</p>'),
    '/cookies': (asked, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<p id="c">${asked.headers.cookie ?? 'none'}</p>`),
  });
  const opened = openTestBrowser({ privateTargets: [site.authority, `127.0.0.1:${other.port}`] });
  const session = await opened.browser.open({ origins: [site.origin] });

  async function the(locator: Locator, hiddenIsFine = false, inSession = session): Promise<FoundElement> {
    const result = await inSession.find([locator], { timeoutMs: 3_000, hiddenIsFine });
    if (result.kind !== 'found') throw new Error(`${JSON.stringify(locator)} is ${result.kind}`);
    return result.element;
  }
  return {
    ...{ ...opened, site, session, bind, the },
    openPage: (path) => session.navigate(`${site.origin}${path}`, 10_000),
    act: async (locator, action, hiddenIsFine = false) => session.act(await the(locator, hiddenIsFine), action, 3_000),
    valueAt: async (selector) => session.read(await the(css(selector), true)),
    close: async () => {
      await opened.close();
      await Promise.all([site.close(), other.close()]);
    },
  };
}
