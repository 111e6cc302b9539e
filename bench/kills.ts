import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProblemError } from '../src/client/client.ts';
import { freePort, type Product, type ProductOptions, startProduct } from './product.ts';

/** The product under kill -9: the server, its Postgres, or a worker beside it, each as often as the other. */
export class KilledProduct {
  readonly #options: ProductOptions;
  readonly #random: () => number;
  #product: Product;
  /** On the server's database. */
  readonly #workers: Product[] = [];

  private constructor(options: ProductOptions, random: () => number, product: Product) {
    this.#options = options;
    this.#random = random;
    this.#product = product;
  }

  static async start(options: ProductOptions, random: () => number, workers = 0): Promise<KilledProduct> {
    const killed = new KilledProduct(options, random, await startProduct(options));
    try {
      while (killed.#workers.length < workers) killed.#workers.push(await killed.#startWorker());
    } catch (error) {
      await killed.end();
      throw error;
    }
    return killed;
  }

  /** The one that runs now: another after each kill of the server. */
  get current(): Product {
    return this.#product;
  }

  /** Kills after a time between these, and starts again what does not by itself. @returns what was killed */
  async killWithin(fromMs: number, untilMs: number): Promise<string> {
    await sleep(fromMs + this.#random() * (untilMs - fromMs));
    const victim = Math.floor(this.#random() * (2 + this.#workers.length));
    if (victim === 0) {
      await killPostgres(this.#product);
      return 'Postgres';
    }
    if (victim === 1) {
      await this.#product.kill();
      this.#product = await startProduct(this.#options);
      return 'server';
    }
    const at = victim - 2;
    await this.#workers[at]!.kill();
    this.#workers[at] = await this.#startWorker();
    return `worker ${at + 1}`;
  }

  async #startWorker(): Promise<Product> {
    const port = await freePort();
    const env = { ...this.#options.env, AIOS_WORKER_PORT: String(port) };
    return startProduct({ ...this.#options, port, env, args: ['--role', 'worker'] });
  }

  /** Ends the server, and its Postgres where a server that was killed has left it: that outlives it, to be joined by the next one. */
  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.#product.stop();
    const pid = await this.#product.postgresPid().catch(() => undefined);
    const isLeft = async () => pid !== undefined && (await isPostgresOf(pid, this.#options.dataDir));
    if (!(await isLeft())) return;
    process.kill(pid!, 'SIGQUIT');
    for (let tries = 0; tries < 200 && (await isLeft()); tries++) await sleep(50);
  }

  /** Asks until there is an answer, of whichever process. What is refused for good is told. */
  async persist<T>(ask: (client: Product['client']) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask(this.#product.client);
      } catch (error) {
        if (error instanceof ProblemError && error.problem.status < 500 && error.problem.status !== 429)
          throw error;
        await sleep(100);
      }
    }
  }
}

/** It may be starting again after the last kill: then there is nothing to kill yet. */
async function killPostgres({ postgresPid }: Product): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return void process.kill(await postgresPid(), 'SIGKILL');
    } catch {
      await sleep(50);
    }
  }
}

/** The file may name a process that has ended, and its number another process by now. */
async function isPostgresOf(pid: number, dataDir: string): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.split('\0').includes(join(dataDir, 'postgres'));
}
