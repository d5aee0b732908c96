--[[
  Marks the store as that of an installation, for one source, or renews the mark. That of another installation stays, unless the
  caller has seen that nobody renews it: comparing and replacing must not come apart, or its owner might come back in between.

  No time is kept here: whether a mark is renewed is for the caller to see, by a clock that nobody sets (spec I10).

  KEYS[1] home: installation, store, beat
  ARGV[1] installation of the caller  ARGV[2] random name for a store that has no mark
  ARGV[3] beat of the mark to replace, or empty

  Returns {'ours', store} or {'foreign', installation, beat}
]]
local home = redis.call('HMGET', KEYS[1], 'installation', 'store', 'beat')
local store = home[2] or ARGV[2]
if home[1] and home[1] ~= ARGV[1] and home[3] ~= ARGV[3] then return { 'foreign', home[1], home[3] } end
-- Never the same again, also for a mark that was lost and made anew: a store's name goes into it.
local beats = tonumber(string.match(home[3] or '0', '^%d+')) + 1
redis.call('HSET', KEYS[1], 'installation', ARGV[1], 'store', store, 'beat', string.format('%d %s', beats, store))
return { 'ours', store }
