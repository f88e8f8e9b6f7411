// The page's style sheet.

export const style = `
:root { color-scheme: light dark; --ink: #1d2733; --quiet: #5b6877; --paper: #f6f3ee; --card: #fff; --line: #e3ddd3;
  --accent: #0b6b5c; --gold: #8a5a00; --gold-paper: #fff4d6; --bad: #a3201d; --bad-paper: #fdecea; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --quiet: #a1acb8; --paper: #14181d; --card: #1d232a;
  --line: #313a44; --accent: #4cc2ad; --gold: #ffd479; --gold-paper: #3a2f14; --bad: #ff9d96; --bad-paper: #3b1a19; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header { display: flex; align-items: baseline; justify-content: space-between; gap: 1rem; max-width: 72rem;
  margin: 0 auto; padding: 1.5rem 1.25rem 0; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.02em; }
h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
h3 { margin: .4rem 0 0; font-size: 1.05rem; }
main { display: grid; grid-template-columns: 1fr 21rem; gap: 1.25rem; max-width: 72rem; margin: 0 auto; padding: 1.25rem; }
@media (max-width: 52rem) { main { grid-template-columns: 1fr; } }
.products { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1.25rem; align-content: start; }
article, .panel { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.1rem; }
article p { margin: .1rem 0 .8rem; color: var(--quiet); }
.icon { font-size: 2.6rem; line-height: 1.2; }
.buy { display: flex; align-items: center; justify-content: space-between; }
aside { display: grid; gap: 1.25rem; align-content: start; }
button { font: inherit; border: 0; border-radius: 9px; padding: .45rem .9rem; background: var(--accent); color: var(--card);
  cursor: pointer; }
button:disabled { opacity: .45; cursor: default; }
button.plain { background: none; color: var(--quiet); padding: 0 .3rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: flex; justify-content: space-between; gap: .5rem; padding: .2rem 0; }
.total { display: flex; justify-content: space-between; border-top: 1px solid var(--line); padding-top: .6rem; font-weight: 600; }
#checkout { width: 100%; }
.quiet, .beta { color: var(--quiet); }
.answer { margin-top: .9rem; padding: .7rem .9rem; border-radius: 10px; border: 1px solid var(--line); }
.answer.v2 { background: var(--gold-paper); color: var(--gold); border-color: currentColor; }
.answer.bad { background: var(--bad-paper); color: var(--bad); border-color: currentColor; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 99px; padding: 0 .55rem; font-size: .85rem; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin-top: .7rem; }
input[type=number] { width: 4.6rem; font: inherit; padding: .2rem .3rem; }
`;
