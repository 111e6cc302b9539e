/**
 * What a worker takes up from the store. An answer may be lost, or the store be away before all of an answer is in memory: then rows say that runs are this worker's,
 * its lease holds others off them, and nobody performs them.
 *
 * @example await claims.during(async () => adopt(await store.claim(worker, ids))); const lost = await claims.lost(() => store.heldBy(worker), isHere)
 */
export class Claims {
  #underWay = 0;
  #begun = 0;
  #mayBeLost = false;

  /** All that lies between the question to the store and the memory. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay++;
    this.#begun++;
    try {
      return await work();
    } catch (error) {
      this.#mayBeLost = true;
      throw error;
    } finally {
      this.#underWay--;
    }
  }

  /** Rows may have been written for runs that are in no memory. */
  doubt(): void {
    this.#mayBeLost = true;
  }

  /** Ids of those that are in no memory, where something failed since the last time; while others are taken up nothing can be said, and the next look asks. */
  async lost(heldBy: () => Promise<readonly string[]>, isHere: (id: string) => boolean): Promise<string[]> {
    if (!this.#mayBeLost || this.#underWay > 0) return [];
    const begun = this.#begun;
    const held = await heldBy();
    if (this.#begun !== begun) return [];
    this.#mayBeLost = false;
    return held.filter((id) => !isHere(id));
  }
}
