-- Part: what is set for senders and pools, and which pool a sender counts in.

local UNLIMITED = -1
local own_mps = SENDER_MPS

-- asked is the pool of a sender whose policy names none. A cut leaves a share of
-- the rate at a time, share|µs, which grows by an eighth a minute.
local function read_sender(name, asked)
  local f = call('HMGET', SENDER_KEY .. name, 'pool', 'limit', 'mps', 'paused', 'optin', 'until',
    'member', 'rate', 'need', 'cut', 'sent')
  local set_mps, share, cut_at = tonumber(set(f[3]) or own_mps[name] or DEFAULT_MPS), 1, nil
  if f[10] then
    share, cut_at = string.match(f[10], '^([%d.]+)|(%d+)$')
    cut_at = tonumber(cut_at)
    share = math.min(1, share + math.max(0, now - cut_at) / CUT_REGAIN)
  end
  return {
    name = name, hash = SENDER_KEY .. name, pool = set(f[1]) or asked, set_limit = f[2] or '',
    limit = tonumber(set(f[2]) or DEFAULT_LIMIT), set_mps = set_mps, mps = set_mps * share, share = share, cut_at = cut_at,
    paused = f[4] == '1', require_opt_in = f[5] == '1', tripped_until = tonumber(set(f[6]) or 0),
    member = f[7] or nil, rate = math.max(tonumber(f[8] or 0), tonumber(f[11] or 0)), sent = tonumber(f[11] or 0), needs = tonumber(f[9] or 0) > 0,
  }
end

-- A pool without a limit of its own has the largest of its senders'.
local function read_pool(name)
  local f = call('HMGET', POOL_KEY .. name, 'limit', 'reserve', 'paused', 'closed', 'top', 'default',
    'moving', 'need')
  local limit = tonumber(set(f[1]) or f[5] or 0)
  if not set(f[1]) and f[6] == '1' and limit ~= UNLIMITED then
    limit = DEFAULT_LIMIT == UNLIMITED and UNLIMITED or math.max(limit, DEFAULT_LIMIT)
  end
  local reserved = 0
  if limit > 0 and set(f[2]) then
    -- 0.07 * 100 is a little more than 7, and must not be 8.
    reserved = math.ceil(tonumber(f[2]) * limit - 1e-9)
  end
  return {
    name = name, hash = POOL_KEY .. name, limit = limit, reserved = reserved, paused = f[3] == '1',
    closed = f[4] == '1', moving = (f[7] or '0') ~= '0', needs = tonumber(f[8] or 0) > 0,
  }
end
