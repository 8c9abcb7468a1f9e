package main

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// nextURL begins a further URL of a comma-separated list. A comma before
// anything else may as well stand in a password.
var nextURL = regexp.MustCompile(`,\s*[A-Za-z][A-Za-z0-9+.-]*://`)

// hidden stands for what is kept from readers.
const hidden = "xxxxx"

// redactURL is a URL, or a comma-separated list of them, for people to read,
// without passwords and tokens. It errs on the side of hiding: what stands
// before an entry's last @ is shown only if it is surely the name of a user.
func redactURL(raw string) string {
	var shown strings.Builder
	begun := 0
	for _, next := range nextURL.FindAllStringIndex(raw, -1) {
		shown.WriteString(redactOne(raw[begun:next[0]]) + ",")
		begun = next[0] + 1
	}
	shown.WriteString(redactOne(raw[begun:]))
	return shown.String()
}

func redactOne(raw string) string {
	raw = strings.TrimSpace(raw)
	scheme, rest := "", raw
	if i := strings.Index(raw, "://"); i >= 0 {
		scheme, rest = raw[:i+3], raw[i+3:]
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return raw
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	if password == "" || strings.ContainsAny(user, "/@,") { // alone it is a token
		return scheme + hidden + rest[at:]
	}
	return scheme + user + ":" + hidden + rest[at:]
}

// cause is what went wrong with a URL, without the URL: an error quotes it as it
// was given, with its password.
func cause(err error) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		return quoting.Err
	}
	return err
}
