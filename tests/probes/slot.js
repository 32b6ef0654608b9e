#!/usr/bin/env node
// The contract `slot` in JavaScript: a third, independent opinion of what the scenarios ask for.
// Node.js 18 or newer, nothing else; Linux, since it goes through directories by /proc/self/fd.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const CLI_BROKEN = 64;
const CREDS_MISSING = 65;
const CREDS_INVALID = 66;
const CLI_MILLISECONDS = 10_000;
const BASELINE = new Set(['CLAUDE.md', 'config.toml', 'settings.json']);
const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

class NotReady extends Error {
  constructor(code, why) {
    super(why);
    this.code = code;
  }
}

/** Return the file that PATH finds under this name, or nothing. */
function findCli(agent) {
  return (process.env.PATH ?? '')
    .split(':')
    .map((directory) => path.resolve(directory, agent))
    .find((file) => {
      try {
        fs.accessSync(file, fs.constants.X_OK);
        return fs.statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

/**
 * Whether the kernel would take this file for a program. execvp(3) of many a C library, which Node.js
 * uses, runs what the kernel refuses as a shell script, so this cannot be found out by starting it.
 */
function isProgram(file) {
  const start = Buffer.alloc(4);
  try {
    const fd = fs.openSync(file, O_RDONLY);
    fs.readSync(fd, start, 0, 4, 0);
    fs.closeSync(fd);
  } catch {
    return true; // one may start what one may not read
  }
  return start.toString('latin1').startsWith('#!') || start.toString('latin1') === '\x7fELF';
}

/** End a process and all it has started; it may be over already. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Run `<agent> --version`: whatever it prints, it has to exit 0 in time. */
function checkCli(agent) {
  const file = findCli(agent);
  if (!file) throw new NotReady(CLI_BROKEN, `${agent} is not on PATH, or not executable`);
  if (!isProgram(file)) throw new NotReady(CLI_BROKEN, `${agent} is no program`);
  return new Promise((resolve, reject) => {
    const cli = spawn(file, ['--version'], { detached: true, stdio: 'ignore' });
    const timer = setTimeout(() => endGroup(cli.pid), CLI_MILLISECONDS);
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
      process.once(signal, () => {
        if (cli.pid) endGroup(cli.pid);
        process.exit(1);
      });
    }
    cli.on('error', (error) => {
      clearTimeout(timer);
      const passing = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code);
      reject(passing ? error : new NotReady(CLI_BROKEN, `${agent} does not start: ${error.code}`));
    });
    cli.on('exit', (code) => {
      clearTimeout(timer);
      endGroup(cli.pid);
      if (code === 0) resolve();
      else reject(new NotReady(CLI_BROKEN, `${agent} --version failed, or did not end within 10 seconds`));
    });
  });
}

/** Any regular file in ~/.claude that the image did not put there is a login. */
function checkClaude(home) {
  let top;
  try {
    top = enter(path.join(home, '.claude'));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code)) throw new NotReady(CREDS_MISSING, 'there is no directory .claude');
    throw new NotReady(CREDS_INVALID, `.claude cannot be searched: ${error.code}`);
  }
  if (top.files.some((name) => !BASELINE.has(name.toString('latin1')))) return;
  const unsearchable = [];
  if (holdsFile(top, unsearchable)) return;
  if (unsearchable.length) throw new NotReady(CREDS_INVALID, `a part of .claude cannot be searched: ${unsearchable[0]}`);
  throw new NotReady(CREDS_MISSING, 'all of .claude came with the image');
}

/**
 * Whether a file lies in a directory below this one. One directory is open at a time, and the way back
 * is "..": no path gets too long, and open files do not add up.
 */
function holdsFile(top, unsearchable) {
  const levels = [top.directories];
  let here = top.fd;
  const from = (name) => Buffer.concat([Buffer.from(`/proc/self/fd/${here}/`), name]);
  const goTo = (fd) => {
    fs.closeSync(here);
    here = fd;
  };
  while (levels.length) {
    const name = levels.at(-1).pop();
    if (name) {
      try {
        const { fd, files, directories } = enter(from(name), O_NOFOLLOW);
        if (files.length) return true;
        goTo(fd);
        levels.push(directories);
      } catch (error) {
        unsearchable.push(error.code);
      }
    } else {
      levels.pop();
      if (levels.length) goTo(fs.openSync(from(Buffer.from('..')), O_RDONLY | O_DIRECTORY));
    }
  }
  return false;
}

/** Open a directory and tell what files and directories are in it. Names are bytes: they need not be UTF-8. */
function enter(directory, flags = 0) {
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY | flags);
  try {
    fs.statSync(`/proc/self/fd/${fd}/.`); // refused where it may be listed but not searched
    const entries = fs.readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true, encoding: 'buffer' });
    const names = (wanted) => entries.filter(wanted).map((entry) => entry.name);
    return { fd, files: names((entry) => entry.isFile()), directories: names((entry) => entry.isDirectory()) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** ~/.codex/auth.json has to be JSON, whatever it says. */
function checkCodex(home) {
  let content;
  try {
    const fd = fs.openSync(path.join(home, '.codex', 'auth.json'), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fs.fstatSync(fd).isFile()) throw new NotReady(CREDS_INVALID, '.codex/auth.json is not a regular file');
    content = fs.readFileSync(fd);
  } catch (error) {
    if (error instanceof NotReady) throw error;
    if (['ENOENT', 'ENOTDIR'].includes(error.code)) throw new NotReady(CREDS_MISSING, 'there is no .codex/auth.json');
    throw new NotReady(CREDS_INVALID, `.codex/auth.json cannot be read: ${error.code}`);
  }
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content));
  } catch {
    // The error's own text could quote the file.
    throw new NotReady(CREDS_INVALID, '.codex/auth.json is not JSON in UTF-8');
  }
}

async function judge() {
  const agent = process.env.WOVED_TASK_AGENT ?? '';
  const checks = new Map([
    ['claude', checkClaude],
    ['codex', checkCodex],
  ]);
  if (!checks.has(agent)) throw new NotReady(CLI_BROKEN, 'WOVED_TASK_AGENT names no known agent');
  await checkCli(agent);
  const home = process.env.HOME;
  if (!home) throw new NotReady(CLI_BROKEN, 'HOME is not set');
  checks.get(agent)(home);
}

function answer(code, why) {
  try {
    fs.writeSync(2, `slot: ${why}\n`);
  } catch {
    // Nobody listens; the exit code is the answer.
  }
  process.exit(code);
}

judge().then(
  () => process.exit(0),
  (error) => {
    if (error instanceof NotReady) answer(error.code, error.message);
    else answer(1, `crashed before judging (${error?.code ?? error?.name})`);
  },
);
