-- Part: what is set for senders and pools, and which pool a sender counts in.

local UNLIMITED = -1
local default_limit = tonumber(ARGV[8])

local function larger(a, b)
  if a == UNLIMITED or b == UNLIMITED then
    return UNLIMITED
  end
  return math.max(a, b)
end

-- asked is the pool of a sender whose policy names none.
local function read_sender(name, asked)
  local f = call('HMGET', key.sender .. name, 'pool', 'limit', 'mps', 'paused', 'reason',
    'optin', 'until', 'fault', 'member')
  return {
    name = name, pool = set(f[1]) or asked, set_limit = set(f[2]) or '',
    limit = tonumber(set(f[2]) or default_limit), mps = set(f[3]) or ARGV[9],
    paused = f[4] == '1', reason = f[5] or '', require_opt_in = f[6] == '1',
    tripped_until = tonumber(set(f[7]) or '0'), fault = f[8] or '', member = set(f[9]),
  }
end

-- A pool without a limit of its own has the largest of its senders'.
local function read_pool(name)
  local f = call('HMGET', key.pool .. name, 'limit', 'reserve', 'paused', 'reason', 'closed', 'top', 'default')
  local limit = tonumber(set(f[1]) or '')
  if not limit then
    limit = tonumber(set(f[6]) or '0')
    if f[7] == '1' then
      limit = larger(limit, default_limit)
    end
  end
  local reserved = 0
  if limit > 0 then
    -- 0.07 * 100 is a little more than 7, and must not be 8.
    reserved = math.ceil(tonumber(set(f[2]) or '0') * limit - 1e-9)
  end
  return {
    name = name, limit = limit, reserved = reserved,
    paused = f[3] == '1', reason = f[4] or '', closed = f[5] == '1',
  }
end

-- Keeps what the members' limits come to, so that no admission adds them up.
local function tally(pool)
  local top, default = 0, '0'
  for _, limit in ipairs(call('HVALS', key.members .. pool)) do
    if limit == '' then
      default = '1'
    else
      top = larger(top, tonumber(limit))
    end
  end
  call('HSET', key.pool .. pool, 'top', us(top), 'default', default)
end

-- Makes a sender a member of a pool, with the customers that it has counted:
-- they are the pool's now too. The pool that it leaves keeps them until they
-- age out.
local function join(sender, pool)
  if sender.member and sender.member ~= pool then
    call('HDEL', key.members .. sender.member, sender.name)
    tally(sender.member)
  end
  call('HSET', key.members .. pool, sender.name, sender.set_limit)
  tally(pool)
  if sender.member ~= pool then
    call('SADD', key.pools, pool)
    call('HSET', key.sender .. sender.name, 'member', pool)
    local from, to = key.sender_window .. sender.name, key.pool_window .. pool
    if call('ZCARD', from) > 0 then
      call('ZUNIONSTORE', to, 2, to, from, 'AGGREGATE', 'MAX')
    end
    sender.member = pool
  end
end
