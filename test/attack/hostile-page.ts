/**
 * A page that tries to carry something out in every way we know, each way to a host name of its own, so that a hit or a
 * refusal says which way it was. `{to:NAME}` becomes that name's address.
 */
export const CANARY_DOMAIN = 'canary.test';

/** Markup of its own document, loaded in a frame: one way each. */
const MARKUP: Readonly<Record<string, string>> = {
  img: '<img src="{to:img}/x">',
  srcset: '<img srcset="{to:srcset}/x 1x">',
  'svg-image': '<svg><image href="{to:svg-image}/x"/></svg>',
  'input-image': '<input type="image" src="{to:input-image}/x">',
  video: '<video src="{to:video}/x" preload="auto"></video>',
  audio: '<audio src="{to:audio}/x" preload="auto"></audio>',
  object: '<object data="{to:object}/x"></object>',
  embed: '<embed src="{to:embed}/x">',
  script: '<script src="{to:script}/x"></script>',
  module: '<script type="module" src="{to:module}/x"></script>',
  stylesheet: '<link rel="stylesheet" href="{to:stylesheet}/x">',
  'css-import': '<style>@import url("{to:css-import}/x");</style>',
  'css-url': '<style>body { background: url("{to:css-url}/x") }</style>x',
  font: '<style>@font-face { font-family: f; src: url("{to:font}/x") } p { font-family: f }</style><p>text</p>',
  preload: '<link rel="preload" as="image" href="{to:preload}/x">',
  modulepreload: '<link rel="modulepreload" href="{to:modulepreload}/x">',
  prefetch: '<link rel="prefetch" href="{to:prefetch}/x">',
  iframe: '<iframe src="{to:iframe}/x"></iframe>',
  srcdoc: '<iframe srcdoc="<img src={to:srcdoc}/x>"></iframe>',
  'data-frame': '<iframe src="data:text/html,<img src={to:data-frame}/x>"></iframe>',
  refresh: '<meta http-equiv="refresh" content="0; url={to:refresh}/x">',
  form: '<form id="f" method="post" action="{to:form}/x"><input name="a" value="b"></form><script>f.submit()</script>',
  ping: '<a id="a" href="#" ping="{to:ping}/x">a</a><script>a.click()</script>',
  location: '<script>location.href = "{to:location}/x"</script>',
  'redirected-img': '<img src="/to/redirected-img">',
  'redirected-frame': '<iframe src="/to/redirected-frame"></iframe>',
};

/** Statements, run one after the other in the page itself. */
const SCRIPTS: Readonly<Record<string, string>> = {
  fetch: "fetch('{to:fetch}/x', { mode: 'no-cors' })",
  keepalive: "fetch('{to:keepalive}/x', { mode: 'no-cors', keepalive: true })",
  xhr: "const x = new XMLHttpRequest(); x.open('GET', '{to:xhr}/x'); x.send()",
  beacon: "navigator.sendBeacon('{to:beacon}/x', 'data')",
  'event-source': "new EventSource('{to:event-source}/x')",
  'web-socket': "new WebSocket('{ws:web-socket}/x')",
  popup: "window.open('{to:popup}/x')",
  import: "import('{to:import}/x').catch(() => 0)",
  'audio-worklet': "new OfflineAudioContext(1, 1, 44100).audioWorklet.addModule('{to:audio-worklet}/x').catch(() => 0)",
  'redirected-fetch': "fetch('/to/redirected-fetch', { mode: 'no-cors' })",
  'redirected-event-source': "new EventSource('/to/redirected-event-source')",
  'worker-fetch': worker("fetch('{to:worker-fetch}/x', { mode: 'no-cors' })"),
  'worker-import': worker("importScripts('{to:worker-import}/x')"),
  'worker-socket': worker("new WebSocket('{ws:worker-socket}/x')"),
  'shared-worker': `new SharedWorker(URL.createObjectURL(new Blob(["fetch('{to:shared-worker}/x', { mode: 'no-cors' })"])))`,
  'turn-over-tcp':
    "const t = new RTCPeerConnection({ iceServers: [{ urls: 'turn:{host:turn-over-tcp}?transport=tcp', username: 'a', credential: 'b' }] }); keep.push(t); t.createDataChannel('x'); t.createOffer().then((o) => t.setLocalDescription(o))",
};

/** Ways that no proxy can see; they are counted where the packets arrive. */
const OUTSIDE_HTTP: Readonly<Record<string, string>> = {
  stun: "const s = new RTCPeerConnection({ iceServers: [{ urls: 'stun:{udp:stun}' }] }); keep.push(s); s.createDataChannel('x'); s.createOffer().then((o) => s.setLocalDescription(o))",
  quic: "new WebTransport('https://{udp:quic}/x').closed.catch(() => 0)",
};

/** A service worker is another matter: with the context's block it never starts, so nothing of it is refused either. */
const SERVICE_WORKER = "navigator.serviceWorker?.register('/worker.js').catch(() => 0)";

function worker(code: string): string {
  return `new Worker(URL.createObjectURL(new Blob([${JSON.stringify(code)}])))`;
}

export const WAYS: readonly string[] = [...Object.keys(MARKUP), ...Object.keys(SCRIPTS)];
export const UDP_WAYS: readonly string[] = Object.keys(OUTSIDE_HTTP);

export interface Canaries {
  /** Port of the HTTP canary. */
  readonly port: number;
  /** `host:port` of the UDP canaries. */
  readonly udp: Readonly<Record<string, string>>;
}

export function addressOf(way: string, { port }: Canaries): string {
  return `http://${way}.${CANARY_DOMAIN}:${port}`;
}

function filled(text: string, canaries: Canaries): string {
  return text
    .replace(/\{to:([\w-]+)\}/g, (_, way: string) => addressOf(way, canaries))
    .replace(/\{ws:([\w-]+)\}/g, (_, way: string) => addressOf(way, canaries).replace('http:', 'ws:'))
    .replace(/\{host:([\w-]+)\}/g, (_, way: string) => addressOf(way, canaries).replace('http://', ''))
    .replace(/\{udp:([\w-]+)\}/g, (_, way: string) => canaries.udp[way] ?? '');
}

/** Pages by path: `/hostile`, the framed ways, and the worker. */
export function hostilePages(canaries: Canaries): Readonly<Record<string, string>> {
  const framed = Object.entries(MARKUP).map(([way, markup]) => [`/way/${way}`, filled(markup, canaries)] as const);
  const frames = Object.keys(MARKUP).map((way) => `<iframe src="/way/${way}"></iframe>`);
  const scripts = Object.values({ ...SCRIPTS, ...OUTSIDE_HTTP, worker: SERVICE_WORKER }).map(
    (code) => `try { ${filled(code, canaries)} } catch {}`,
  );
  const hostile = `<title>hostile</title>${frames.join('')}<script>const keep = []; ${scripts.map((code) => `{ ${code} }`).join('\n')}
    onload = () => { document.body.append(Object.assign(document.createElement('p'), { id: 'tried', textContent: 'tried' })) }</script>`;
  return { ...Object.fromEntries(framed), '/hostile': hostile };
}

export function serviceWorkerScript(canaries: Canaries): string {
  return `self.addEventListener('install', (event) => event.waitUntil(fetch('${addressOf('service-worker', canaries)}/x', { mode: 'no-cors' })))`;
}
