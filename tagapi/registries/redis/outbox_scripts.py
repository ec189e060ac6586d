"""What is done with webhooks and deliveries in one step on the server: Lua, each script atomic and safe to send again.

Keys, all below `tagapi:`. `webhooks` is a hash of webhooks by id, `webhooks:versions` of their versions,
`webhooks:owners` of their owners and `webhooks:order` a sorted set of their ids by number; `webhooks:generation` is
random, of the last write to any of them. `delivery:<id>` is a hash of number, version, happened and delivery; of each
webhook, `deliveries:log:<id>` is a sorted set of numbers, `deliveries:ids:<id>` maps them to ids, and
`deliveries:due:<id>` is a sorted set of padded numbers by microseconds.
"""

P = """
local P = 'tagapi:'
"""

INSERT = (
    P
    + """
-- ARGV: id, owner, how many they may have, version, webhook, generation, until when (in microseconds) somebody waits
--       for the answer.
-- Answers {'full', of the owner} or {'late', 0}, having stored nothing, or {'new', number}.
local id = ARGV[1]
local known = redis.call('ZSCORE', P..'webhooks:order', id)
if known then return {'new', tonumber(known)} end
local time = redis.call('TIME')
if time[1] * 1000000 + time[2] > tonumber(ARGV[7]) then return {'late', 0} end
local has = 0
for _, owner in ipairs(redis.call('HVALS', P..'webhooks:owners')) do if owner == ARGV[2] then has = has + 1 end end
if has >= tonumber(ARGV[3]) then return {'full', has} end
local number = redis.call('INCR', P..'webhooks:numbers')
redis.call('ZADD', P..'webhooks:order', number, id)
redis.call('HSET', P..'webhooks:owners', id, ARGV[2])
redis.call('HSET', P..'webhooks:versions', id, ARGV[4])
redis.call('HSET', P..'webhooks', id, ARGV[5])
redis.call('SET', P..'webhooks:generation', ARGV[6])
return {'new', number}
"""
)

SWAP = (
    P
    + """
-- ARGV: id, version before, version after, webhook, generation. Answers 1, or 0 where it has another version.
local id = ARGV[1]
if redis.call('HGET', P..'webhooks:versions', id) ~= ARGV[2] then return 0 end
redis.call('HSET', P..'webhooks:versions', id, ARGV[3])
redis.call('HSET', P..'webhooks', id, ARGV[4])
redis.call('SET', P..'webhooks:generation', ARGV[5])
return 1
"""
)

REMOVE = (
    P
    + """
-- ARGV: id, generation. Answers 1, or 0 where there is none.
local id = ARGV[1]
if redis.call('ZREM', P..'webhooks:order', id) == 0 then return 0 end
for _, name in ipairs({'webhooks', 'webhooks:owners', 'webhooks:versions'}) do redis.call('HDEL', P..name, id) end
redis.call('SET', P..'webhooks:generation', ARGV[2])
for _, one in ipairs(redis.call('HVALS', P..'deliveries:ids:'..id)) do redis.call('DEL', P..'delivery:'..one) end
for _, name in ipairs({'log', 'ids', 'due'}) do redis.call('DEL', P..'deliveries:'..name..':'..id) end
return 1
"""
)

READ = (
    P
    + """
-- Answers {generation, {number, version, webhook}...}, newest first.
local told = {redis.call('GET', P..'webhooks:generation') or ''}
local found = redis.call('ZREVRANGE', P..'webhooks:order', 0, -1, 'WITHSCORES')
for n = 1, #found, 2 do
  local id, row = found[n], {found[n + 1]}
  for _, name in ipairs({'webhooks:versions', 'webhooks'}) do row[#row + 1] = redis.call('HGET', P..name, id) end
  told[#told + 1] = row
end
return told
"""
)

_ROWS = (
    P
    + """
local function row(of, number)
  local id = redis.call('HGET', P..'deliveries:ids:'..of, number)
  return redis.call('HMGET', P..'delivery:'..id, 'number', 'version', 'delivery')
end
"""
)

DUE = (
    _ROWS
    + """
-- ARGV: now, then of each webhook its id and how many. Answers {number, version, delivery}..., of each the longest due
-- first.
local told = {}
for n = 2, #ARGV, 2 do
  local due = redis.call('ZRANGEBYSCORE', P..'deliveries:due:'..ARGV[n], '-inf', ARGV[1], 'LIMIT', 0, ARGV[n + 1])
  for _, padded in ipairs(due) do told[#told + 1] = row(ARGV[n], string.format('%d', tonumber(padded))) end
end
return told
"""
)

SWAP_DELIVERY = (
    P
    + """
-- ARGV: id, version before, version after, delivery, due or '', webhook. Answers 1, or 0 where it has another version.
local key = P..'delivery:'..ARGV[1]
if redis.call('HGET', key, 'version') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'version', ARGV[3], 'delivery', ARGV[4])
local queue, padded = P..'deliveries:due:'..ARGV[6], string.format('%016d', redis.call('HGET', key, 'number'))
if ARGV[5] == '' then redis.call('ZREM', queue, padded) else redis.call('ZADD', queue, ARGV[5], padded) end
return 1
"""
)

PAGE = (
    _ROWS
    + """
-- ARGV: webhook, highest number, limit. Answers {total, {number, version, delivery}...}, newest first.
local log = P..'deliveries:log:'..ARGV[1]
local page = {redis.call('ZCARD', log)}
for _, number in ipairs(redis.call('ZREVRANGEBYSCORE', log, ARGV[2], '-inf', 'LIMIT', 0, ARGV[3])) do
  page[#page + 1] = row(ARGV[1], number)
end
return page
"""
)

TRIM = (
    P
    + """
-- ARGV: webhook, microseconds, kept. Forgets what happened before then, and what is final and not among those kept.
local of = ARGV[1]
local log, ids, queue = P..'deliveries:log:'..of, P..'deliveries:ids:'..of, P..'deliveries:due:'..of
local numbers = redis.call('ZRANGE', log, 0, -1)
for place, number in ipairs(numbers) do
  local id, padded = redis.call('HGET', ids, number), string.format('%016d', tonumber(number))
  local old = tonumber(redis.call('HGET', P..'delivery:'..id, 'happened')) < tonumber(ARGV[2])
  local beyond = place <= #numbers - tonumber(ARGV[3])
  if old or (beyond and not redis.call('ZSCORE', queue, padded)) then
    redis.call('DEL', P..'delivery:'..id)
    redis.call('HDEL', ids, number)
    redis.call('ZREM', log, number)
    redis.call('ZREM', queue, padded)
  elseif not beyond then
    break  -- those that follow happened later
  end
end
"""
)
