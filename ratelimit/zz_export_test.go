package ratelimit

import "strings"

func AdmitText() string {
	var text strings.Builder
	text.WriteString(luaKeys())
	for _, part := range []string{"gate", "window", "record", "waiting", "policy", "rate", "admit"} {
		source, _ := sources.ReadFile("lua/" + part + ".lua")
		text.Write(source)
	}
	return text.String()
}

func AdmitArgs(g *Gate, r Request) ([]string, []any) {
	keys := []string{
		jobKey(r.Job), keyEpoch, keyPause, senderKey(r.Sender), senderWindowKey(r.Sender),
		rateKey(r.Sender), consentKey(r.Customer), inboundKey(r.Sender, r.Customer),
	}
	all := []any{""}
	all = append(all, g.head...)
	return keys, append(all, r.Digest, r.Sender, r.Customer, r.Pool, int(r.Priority), r.Attempt, r.Token,
		flag(r.FreeForm), flag(r.Template), micros(r.ExpiresAt))
}
