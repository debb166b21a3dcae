// ISOLATED world. How what notice.js says in the room looks.
globalThis.keysteadNoticeStyle = `
:host { all: initial; display: block; flex: none; max-height: 70vh; overflow: auto; container-type: inline-size; color-scheme: light dark; }
section { margin: 0; padding: 12px 16px 14px; border-bottom: 1px solid light-dark(#ecd3bb, #4d3a2b); border-left: 4px solid light-dark(#c2560f, #f0a060);
  background: light-dark(#fff8f1, #251d17); color: light-dark(#1b1d22, #ebeef2); font: 14px/1.45 Inter, system-ui, sans-serif; }
section.critical { background: light-dark(#fff1f0, #2b1819); border-color: light-dark(#f0c4c0, #57302f); border-left-color: light-dark(#c62828, #ff8a80); }
section.notice { background: light-dark(#f3f6fb, #1b2028); border-color: light-dark(#d5deea, #333c49); border-left-color: light-dark(#3367b1, #8ab4f8); }
h2 { margin: 0; font-size: 15px; line-height: 1.35; }
p { margin: 4px 0 0; max-width: 760px; text-wrap: pretty; }
.muted, summary { font-size: 13px; color: light-dark(#575d68, #a9b0bb); } .who { margin: 0 0 2px; overflow-wrap: anywhere; }
dl { margin: 10px 0 0; display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; }
dt { font-weight: 600; overflow-wrap: anywhere; } dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.comparing dl { grid-template-columns: 1fr; } .comparing dd.new { max-width: 27ch; font-size: 19px; letter-spacing: .02em; }
@container (width < 620px) { dl { grid-template-columns: 1fr; } dd { max-width: 24ch; } dd + dt { margin-top: 4px; } }
ol { margin: 4px 0 0; padding: 0; list-style: none; max-height: 11em; overflow: auto; font-size: 13px; }
time { display: inline-block; min-width: 12em; color: light-dark(#575d68, #a9b0bb); }
details { margin-top: 8px; } summary { cursor: pointer; width: max-content; }
menu { margin: 12px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 8px; }
button, a { font: inherit; font-weight: 500; padding: 5px 14px; border-radius: 8px; border: 1px solid light-dark(#8b919b, #78808c);
  background: none; color: inherit; text-decoration: none; cursor: pointer; }
button:hover, a:hover { background: light-dark(#0000000d, #ffffff14); }
.first { background: light-dark(#1b1d22, #ebeef2); color: light-dark(#fff, #1b1d22); border-color: transparent; } .first:hover { background: light-dark(#3a3e47, #fff); }
button:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid light-dark(#3367b1, #8ab4f8); outline-offset: 2px; }`;
