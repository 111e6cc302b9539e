/** How many log partitions there are: fixed with the first migration, because keys are hashed onto them. */
export const PARTITIONS = 8;
