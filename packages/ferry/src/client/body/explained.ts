/** Iterates over something, with another error in the place of one that ends it. */
export function explained<Item>(
  items: AsyncGenerator<Item, void>,
  explain: (error: unknown) => unknown,
): AsyncIterable<Item> {
  const fail = (error: unknown): never => {
    throw explain(error)
  }
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => items.next().catch(fail),
      return: () => items.return(),
    }),
  }
}
