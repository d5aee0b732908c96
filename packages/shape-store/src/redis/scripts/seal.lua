--[[
  Puts a blob in the place of the stream's part of a chunk (spec R 12.2.2).

  The chunk's name and the entries in the stream change together: whoever sees the chunk unsealed after reading the stream has
  read all of it. Only the first chunk that is not sealed, if it is visible; the blob has the same entries, so nothing has to
  be compared, and of two processes that seal the same chunk the second changes nothing.

  KEYS[1] m  KEYS[2] h  KEYS[3] c  KEYS[4] y  KEYS[5] l:<handle>  KEYS[6] z:<handle>:<token>
  ARGV[1] handle  ARGV[2] id of the chunk's end  ARGV[3] id of the end of the sealed chunk before, or zeros
  ARGV[4] blob as the index names it  ARGV[5] member of y  ARGV[6] elements of the blob
  ARGV[7] JSON bytes  ARGV[8] bytes of the blob  ARGV[9] first id after the chunk's end

  Returns 1, or 0 when the chunk is not to be sealed, or not from this blob
]]
local h = read_head(redis.call('HGET', KEYS[2], ARGV[1]))
if not h or h.state ~= 'l' then return 0 end
if (h.sealed == NONE and ZERO_ID or h.sealed) ~= ARGV[3] then return 0 end
if ARGV[2] > redis.call('HGET', KEYS[1], 'vis') then return 0 end
local chunk = chunk_end(ARGV[1], ARGV[2])
if not redis.call('ZSCORE', KEYS[3], chunk) then return 0 end
if redis.call('LLEN', KEYS[6]) ~= tonumber(ARGV[6]) then return 0 end
if redis.call('ZREM', KEYS[4], ARGV[5]) == 0 then return 0 end

redis.call('ZADD', KEYS[3], 0, chunk .. ' ' .. ARGV[4])
redis.call('ZREM', KEYS[3], chunk)
h.sealed = ARGV[2]
h.held = h.held - tonumber(ARGV[7]) + tonumber(ARGV[8])
redis.call('HSET', KEYS[2], ARGV[1], write_head(h))
-- Last: what is left of it when the server stops here is trimmed with the next chunk.
redis.call('XTRIM', KEYS[5], 'MINID', ARGV[9])
return 1
