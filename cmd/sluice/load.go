package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

// environment is where settings may come from besides flags.
type environment map[string]string

func newEnvironment(pairs []string) environment {
	env := environment{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// addFlags gives every setting its flag. The values are read by load.
func addFlags(flags *pflag.FlagSet) {
	defaults := defaultConfig()
	flags.String("config", "", "settings file (YAML, with keys as in nats_url: …)")
	for _, s := range defaults.settings() {
		usage := strings.ReplaceAll(s.usage, "`", "") + " [" + s.env() + "]" // quoted so, it would name the value
		if text := s.text(); text != "" {
			usage += " (" + text + ")"
		}
		flags.Var(&flagText{kind: s.kind()}, s.flag(), usage)
	}
}

// flagText is a setting's flag as it was given. What it may be is checked by
// load, as it is for the other places that settings come from.
type flagText struct{ text, kind string }

func (f *flagText) String() string        { return f.text }
func (f *flagText) Set(text string) error { f.text = text; return nil }
func (f *flagText) Type() string          { return f.kind }

// kind is what help texts call the setting's values.
func (s setting) kind() string {
	switch s.field.(type) {
	case *int, *int64:
		return "int"
	case *float64:
		return "float"
	case *time.Duration:
		return "duration"
	default:
		return "string"
	}
}

// load reads settings: defaults, then the file, then the environment, then the
// flags given. Unknown keys of the file are errors, unknown SLUICE_ variables
// are returned as warnings; origins says where each value came from.
func load(flags *pflag.FlagSet, env environment) (cfg Config, origins map[string]string, warnings []string, err error) {
	cfg, origins = defaultConfig(), map[string]string{}
	file, accounts, err := readFile(flags)
	if err != nil {
		return cfg, nil, nil, err
	}
	cfg.Accounts = accounts
	known := map[string]bool{"SLUICE_API_URL": true, "SLUICE_API_KEY": true, "SLUICE_API_KEY_FILE": true} // of the commands that ask the API
	for _, s := range cfg.settings() {
		known[s.env()], known[s.env()+"_FILE"] = true, true
		if origins[s.name], err = s.resolve(flags, env, file); err != nil {
			return cfg, nil, nil, err
		}
		delete(file, s.name)
	}
	for _, key := range slices.Sorted(maps.Keys(file)) { // sorted: the same mistake is always named first
		return cfg, nil, nil, fmt.Errorf("%s: %q is not a setting", flags.Lookup("config").Value, key)
	}
	cfg.takeFreePorts()
	return cfg, origins, unknownVariables(env, known), nil
}

// resolve gives the setting its value and says where that came from.
func (s setting) resolve(flags *pflag.FlagSet, env environment, file map[string]string) (origin string, err error) {
	origin = "default"
	if value := file[s.name]; value != "" {
		if err := s.set(value); err != nil {
			return "", fmt.Errorf("%s in %s: %w", s.name, flags.Lookup("config").Value, err)
		}
		origin = "file"
	}
	given, err := s.fromEnv(env)
	if err != nil {
		return "", err
	}
	if given {
		origin = "env"
	}
	if f := flags.Lookup(s.flag()); f != nil && f.Changed {
		if err := s.set(f.Value.String()); err != nil {
			return "", usageError{fmt.Errorf("--%s: %w", s.flag(), err)}
		}
		origin = "flag"
	}
	return origin, nil
}

func unknownVariables(env environment, known map[string]bool) []string {
	var names []string
	for name := range env {
		if strings.HasPrefix(name, "SLUICE_") && !known[name] {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func readFile(flags *pflag.FlagSet) (values map[string]string, accounts []accountEntry, err error) {
	f := flags.Lookup("config")
	if f == nil || f.Value.String() == "" {
		return map[string]string{}, nil, nil
	}
	data, err := os.ReadFile(f.Value.String())
	if err != nil {
		return nil, nil, fmt.Errorf("--config: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return nil, nil, fmt.Errorf("--config %s is not readable as YAML: %s", f.Value, firstLine(err.Error()))
	}
	if raw["accounts"] != nil {
		if accounts, err = readAccounts(raw["accounts"]); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Value, err)
		}
	}
	delete(raw, "accounts")
	values = make(map[string]string, len(raw))
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		switch value := raw[key].(type) {
		case map[string]any, []any:
			return nil, nil, fmt.Errorf("%s: %q cannot be a list or a map", f.Value, key)
		case nil:
			values[key] = "" // as an empty variable: not set, but a key that has to be known
		default:
			values[key] = fmt.Sprint(value)
		}
	}
	return values, accounts, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// fromEnv takes the variable, or, for secrets, the file that NAME_FILE names,
// and reports whether there was one.
func (s setting) fromEnv(env environment) (given bool, err error) {
	value, ok := env[s.env()]
	path, fromFile := env[s.env()+"_FILE"]
	if s.secret && fromFile && path != "" {
		if ok && value != "" {
			return false, fmt.Errorf("%s and %s_FILE are both set: keep one", s.env(), s.env())
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return false, fmt.Errorf("%s_FILE: %w", s.env(), err)
		}
		if value, ok = strings.TrimSpace(string(data)), true; value == "" {
			return false, fmt.Errorf("%s_FILE: %s is empty", s.env(), path)
		}
	}
	if !ok || value == "" {
		return false, nil
	}
	if err := s.set(value); err != nil {
		return false, fmt.Errorf("%s: %w", s.env(), err)
	}
	return true, nil
}

func (s setting) set(text string) error {
	var err error
	switch field := s.field.(type) {
	case *string:
		*field = text
	case *int:
		if *field, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
	case *int64:
		if *field, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
	case *float64:
		if *field, err = strconv.ParseFloat(text, 64); err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
	case *time.Duration:
		if *field, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%q is not a duration as in 90s, 5m or 24h", text)
		}
	default:
		panic(fmt.Sprintf("setting %s has a field of type %T", s.name, field))
	}
	return nil
}

// text is the present value, as it would be written.
func (s setting) text() string {
	switch field := s.field.(type) {
	case *string:
		return *field
	case *int:
		return strconv.Itoa(*field)
	case *int64:
		return strconv.FormatInt(*field, 10)
	case *float64:
		return strconv.FormatFloat(*field, 'g', -1, 64)
	case *time.Duration:
		if *field == 0 {
			return ""
		}
		return field.String()
	}
	return ""
}
