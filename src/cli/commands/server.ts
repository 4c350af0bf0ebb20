import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Commands, examples, given } from '../command.ts';
import { exitCodes, Failure } from '../exit.ts';
import { starterConfiguration, starterPolicy } from '../starter.ts';
import { safeJson, visible } from '../visible.ts';

export const serverCommands: Commands = (program, terminal) => {
  program
    .command('serve')
    .summary('run the gateway')
    .description(
      'Runs the gateway until it gets SIGINT or SIGTERM: then it ends the sessions, seals their recordings and signs the last checkpoint.',
    )
    .option('-c, --config <file>', 'its configuration', 'sallyport.yaml')
    .addHelpText('after', examples('sallyport serve', 'sallyport serve --config /etc/sallyport/sallyport.yaml'))
    .action(async ({ config }: { config: string }) => {
      const { start } = await import('../../main.ts');
      const running = await start(config);
      for (const [name, { host, port }] of Object.entries(running.addresses))
        terminal.err(`${name.padEnd(10)} ${host.includes(':') ? `[${host}]` : host}:${port}\n`);
      if (running.caFile !== undefined) terminal.err(`clients verify the certificate with ${running.caFile}\n`);
      const ended = await Promise.race([signalled(), running.failed]);
      await running.stop();
      if (ended instanceof Error)
        throw new Failure(exitCodes.server, `the gateway stopped: ${ended.message}`, { cause: ended });
    });

  program
    .command('demo')
    .summary('everything embedded, to try it out')
    .description(
      'Starts an identity provider, a PostgreSQL with a shop in it, and the gateway before it; prints lines to paste. Ctrl-C ends it all.',
    )
    .option('--tour', 'run the story by itself and exit')
    .option('--reset', 'start afresh')
    .option('--data <dir>', 'where it keeps its files')
    .action(async ({ tour, reset, data }: { tour?: boolean; reset?: boolean; data?: string }) => {
      const { runDemo } = await import('../../demo/demo.ts').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
        const where = 'the demonstration brings a database server of its own, which the installed package lacks';
        throw new Failure(exitCodes.usage, `${where}: clone the repository and run: npm run demo`, { cause: error });
      });
      const exit = await runDemo(given({ tour, reset, data }));
      if (typeof exit === 'number' && exit !== 0) throw new Failure(exit, 'the demonstration did not go as it should');
    });

  program
    .command('init')
    .summary('write a starting configuration')
    .description('Writes sallyport.yaml and a folder of policies to start from. Overwrites nothing.')
    .argument('[dir]', 'where', '.')
    .addHelpText(
      'after',
      examples(
        'sallyport init',
        'sallyport init /etc/sallyport && sallyport doctor --config /etc/sallyport/sallyport.yaml',
      ),
    )
    .action(async (dir: string) => {
      const files = [
        [join(dir, 'sallyport.yaml'), starterConfiguration],
        [join(dir, 'policies', 'start.cedar'), starterPolicy],
      ] as const;
      const there = files.find(([file]) => existsSync(file));
      if (there !== undefined) throw new Failure(exitCodes.usage, `${there[0]} is there already`);
      for (const [file, text] of files) {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text, { flag: 'wx', mode: 0o644 });
        await terminal.out(`wrote ${file}\n`);
      }
      terminal.err(
        `\nNow name your identity provider and a target in it, then run:\n  sallyport doctor --config ${files[0][0]}\n`,
      );
    });

  program
    .command('doctor')
    .summary('say what is wrong with a configuration')
    .description(
      'Checks a configuration and what it names: files, keys, policies, addresses. Changes nothing, contacts nobody.',
    )
    .option('-c, --config <file>', 'the configuration', 'sallyport.yaml')
    .option('--json', 'print JSON')
    .action(async ({ config, json }: { config: string; json?: boolean }) => {
      const { examine } = await import('../doctor.ts');
      const findings = await examine(resolve(config));
      if (json === true) await terminal.out(`${safeJson(findings, 2)}\n`);
      else
        await terminal.out(
          findings
            .map(({ good, text }) => `${good ? 'ok   ' : 'WRONG'}  ${visible(text).replaceAll('\n', '\n       ')}\n`)
            .join(''),
        );
      if (findings.some(({ good }) => !good)) throw new Failure(exitCodes.no, 'something is wrong');
    });
};

function signalled(): Promise<undefined> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done(undefined));
  });
}
