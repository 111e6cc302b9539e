import { describe, expect, it } from 'vitest';
import { Background } from './background.ts';
import type { Held } from './held.ts';

/** A run of which only its leaving matters. */
function run(): Held & { leave(): void } {
  let left = () => {};
  const held = {
    onLeft: (listener: () => void) => {
      left = listener;
    },
    leave: () => left(),
  };
  return held as unknown as Held & { leave(): void };
}

describe('runs that nobody waits for', () => {
  const open = () => {
    const state = { nowMs: 0, active: 0, told: 0 };
    const background = new Background(
      { runsBackgroundMax: 8, runsYieldingMax: 2, runsActiveMax: 10, consumerPauseMs: 50 },
      () => state.nowMs,
      () => state.active,
    );
    background.onRoom = () => {
      state.told++;
    };
    return { state, background };
  };

  it('have all places while nobody waits for others', () => {
    const { state, background } = open();
    expect(background.room()).toBe(8);
    state.active = 3;
    expect(background.room()).toBe(7);
    state.active = 12;
    expect(background.room()).toBe(0);
  });

  it('are a few at a time while callers wait, and all again when it is quiet', () => {
    const { state, background } = open();
    background.giveWay();
    const runs = [run(), run()];
    for (const held of runs) background.begun(held);
    expect(background.room()).toBe(0);
    runs[0]!.leave();
    expect([background.room(), state.told, background.pauseMs()]).toEqual([1, 1, 50]);
    state.nowMs = 100;
    expect([background.room(), background.pauseMs()]).toEqual([7, 10]);
  });
});
