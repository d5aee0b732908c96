--[[
  Remembers transactions that end shapes unless their snapshots show them. Kept in the store and not by the owner of the shard:
  it may die after the cursor has passed them and before the snapshots are known.

  Looking whether a snapshot is known, and remembering, is one step: `snapshot-known.lua` asks what stands here.

  KEYS[1] h  KEYS[2] a  KEYS[3] q
  ARGV    handle, LSN, xid of each; padded

  Returns the handles whose snapshot is known and does not show the transaction
]]
local out = {}
for i = 1, #ARGV, 3 do
  local handle, lsn, xid = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local h = read_head(redis.call('HGET', KEYS[1], handle))
  if h and h.state ~= 'd' then
    local text = redis.call('HGET', KEYS[2], handle)
    local attempt = text and cjson.decode(text)
    if attempt and attempt.xmin then
      if lsn > attempt.insert or not is_visible(attempt, running(attempt), xid) then out[#out + 1] = handle end
    else
      local item, known = lsn .. '-' .. xid, redis.call('HGET', KEYS[3], handle) or ''
      if not string.find(known, item, 1, true) then redis.call('HSET', KEYS[3], handle, known .. item .. ' ') end
    end
  end
end
return out
