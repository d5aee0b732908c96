--[[
  The handle that a digest names now. One step, because the digest may still name a handle that died in an append.

  KEYS[1] d  KEYS[2] h
  ARGV[1] digest

  Returns the handle, or nil
]]
for handle in string.gmatch(redis.call('HGET', KEYS[1], ARGV[1]) or '', '%S+') do
  local head = redis.call('HGET', KEYS[2], handle)
  if head and string.sub(head, 1, 1) ~= 'd' then return handle end
end
return false
