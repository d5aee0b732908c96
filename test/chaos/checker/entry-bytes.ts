/** Readers see the same bytes at the same place of a handle, whoever they are and whenever they look (spec R 1, I2). */
export class EntryBytes {
  entries = 0;
  readonly #handles = new Map<string, Map<string, number>>();

  /** Takes what was seen at a place; returns the place when something else was seen there before. */
  see(handle: string, place: string, bytes: number): string | undefined {
    let places = this.#handles.get(handle);
    if (places === undefined) this.#handles.set(handle, (places = new Map<string, number>()));
    const known = places.get(place);
    if (known === undefined) {
      places.set(place, bytes);
      this.entries += 1;
      return undefined;
    }
    return known === bytes ? undefined : `${handle} ${place}`;
  }
}
