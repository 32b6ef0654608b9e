#!/usr/bin/env node
// Lets somebody log in, written from the contract alone. node has no terminals, so script(1) lends one.
'use strict';
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const env = process.env;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const fail = (code, why) => {
  console.error(why);
  process.exit(code);
};

function setting(name) {
  if (!env[name]) fail(1, `${name} is missing`);
  return env[name];
}

function seconds(name, usual) {
  const number = Number(env[name] || usual);
  if (!(number > 0)) fail(1, `${name} must be a number`);
  return number * 1000;
}

function files(top, found = new Map(), below = '') {
  let entries = [];
  try {
    entries = fs.readdirSync(path.join(top, below), { withFileTypes: true });
  } catch {
    return found;
  }
  for (const entry of entries) {
    const name = path.join(below, entry.name);
    if (entry.isDirectory()) files(top, found, name);
    if (!entry.isFile()) continue;
    const hash = crypto.createHash('sha256');
    try {
      hash.update(fs.readFileSync(path.join(top, name)));
    } catch {
      hash.update('unreadable');
    }
    found.set(name, hash.digest('hex'));
  }
  return found;
}

function below(pid) {
  const children = [];
  for (const name of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = fs.readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').pop().split(' ');
      if (Number(fields[1]) === pid) children.push(Number(name), ...below(Number(name)));
    } catch {} // it has gone
  }
  return children;
}

function kill(pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {} // it has gone
  }
}

async function main() {
  const agent = env.WOVED_TASK_AGENT ?? env.AGENT ?? '';
  if (agent !== 'claude') fail(1, 'only claude');
  const slot = encodeURIComponent(setting('WOVED_SLOT_ID'));
  const base = `${setting('WOVED_MANAGER_CALLBACK_URL').replace(/\/$/, '')}/slots/${slot}/auth-init`;
  const headers = { 'x-slot-init-token': setting('WOVED_SLOT_INIT_TOKEN'), 'content-type': 'application/json' };
  const deadline = Date.now() + seconds('WOVED_AUTH_INIT_TIMEOUT_S', '1800');
  const poll = seconds('WOVED_AUTH_INIT_POLL_S', '2');
  const top = path.join(env.HOME, '.claude');
  const before = files(top);

  const { WOVED_SLOT_INIT_TOKEN: _, ...inherited } = env;
  const cli = spawn('script', ['-qefc', 'exec claude', '/dev/null'], { env: inherited, stdio: ['pipe', 'pipe', 'ignore'] });
  let text = '';
  let ended = null;
  cli.stdout.on('data', (data) => (text = (text + data.toString('utf8')).slice(-100000)));
  cli.stdin.on('error', () => {});
  cli.on('exit', (code, signal) => (ended = signal || code >= 126 ? 1 : code));
  cli.on('error', (error) => fail(1, error.message));
  const stop = (code, why) => {
    kill([...below(cli.pid), cli.pid]);
    fail(code, why);
  };

  async function ask(method, name, message) {
    const left = Math.max(100, Math.min(4000, deadline - Date.now()));
    const body = message && JSON.stringify(message);
    const options = { method, headers, body, redirect: 'manual', signal: AbortSignal.timeout(left) };
    try {
      const answer = await fetch(`${base}/${name}`, options);
      return [answer.status, await answer.text()];
    } catch (error) {
      console.error(`no answer: ${error.message}`);
      return [0, ''];
    }
  }

  const posted = [];
  let waiting = false;
  let prompted = false;
  while (ended === null) {
    if (Date.now() > deadline) stop(124, 'too late');
    // A URL ends where something follows that cannot be a part of it.
    const links = [...text.matchAll(/(https:\/\/[\x21-\x7e]+?)[^\x21-\x7e]/g)].map((match) => match[1]);
    const next = links.find((link) => new URL(link).pathname.endsWith('/oauth/authorize') && !posted.includes(link));
    if (!next && !posted.length && !prompted && /(^|\n)[>$] $/.test(text)) {
      prompted = true;
      cli.stdin.write('/login\r');
    }
    if (next || waiting) {
      const [status, body] = next ? await ask('POST', 'url', { url: next }) : await ask('GET', 'code');
      if (status === 401 || status === 403) stop(1, 'refused');
      if (next && status >= 200 && status < 300) {
        posted.push(next);
        waiting = true;
      } else if (!next && status === 200) {
        let code = null;
        try {
          code = JSON.parse(body)?.code;
        } catch {} // not yet
        if (typeof code === 'string' && code) {
          waiting = false;
          cli.stdin.write(`${code}\r`);
        }
      }
    }
    await sleep(next ? 20 : Math.min(poll, 100));
  }
  const baseline = ['CLAUDE.md', 'config.toml', 'settings.json'];
  const artifacts = [...files(top)].filter(([name, hash]) => before.get(name) !== hash && !baseline.includes(name));
  if (!artifacts.length) fail(ended || 1, 'nobody has logged in');
  const news = { completed_at: Date.now() / 1000, agent, artifacts: artifacts.map(([name]) => name) };
  await ask('POST', 'complete', news);
  process.exit(0);
}

main();
