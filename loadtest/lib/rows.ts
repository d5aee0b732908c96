/** What the writer writes and readers read. */
export const TABLE = 'loadtest_rows';
/** `pad` of the last row of a channel: its readers have nothing more to wait for. */
export const END = 'end';
