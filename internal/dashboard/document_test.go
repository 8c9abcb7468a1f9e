package dashboard_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// document is a parsed description of the API.
type document map[string]any

// describe asks the server for its description. By way of JSON, so that it
// has the types that answers have.
func describe(t *testing.T, w *world) document {
	t.Helper()
	r := w.do("GET", "/openapi.yaml", "")
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "application/yaml", r.header.Get("Content-Type"))
	text, err := yaml.YAMLToJSON([]byte(r.text))
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// route is the described route that a request's path belongs to.
func (d document) route(t *testing.T, method, path string) [2]string {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	if at(d, "paths", path, strings.ToLower(method)) != nil {
		return [2]string{method, path}
	}
	parts := strings.Split(path, "/")
	for template := range d["paths"].(map[string]any) {
		names := strings.Split(template, "/")
		if slices.EqualFunc(names, parts, func(name, part string) bool { return name == part || strings.HasPrefix(name, "{") }) {
			return [2]string{method, template}
		}
	}
	require.Fail(t, "no such path is described", path)
	return [2]string{}
}

// check holds an answer against what is described for its route and status.
func (d document) check(route [2]string, r reply) error {
	operation, ok := at(d, "paths", route[1], strings.ToLower(route[0])).(map[string]any)
	if !ok {
		return fmt.Errorf("%v is not described", route)
	}
	response := at(operation, "responses", strconv.Itoa(r.status))
	if response == nil {
		response = at(operation, "responses", "default")
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	schema, ok := at(d.resolve(response), "content", kind, "schema").(map[string]any)
	if !ok {
		return fmt.Errorf("%d with %s is not described", r.status, kind)
	}
	if kind != "application/json" {
		return d.validate(schema, r.text, "body")
	}
	return d.validateText(schema, r.text)
}

// fits holds JSON text against a schema of the components.
func (d document) fits(name, text string) error { return d.validateText(d.schema(name), text) }

func (d document) schema(name string) map[string]any {
	return at(d, "components", "schemas", name).(map[string]any)
}

func (d document) validateText(schema map[string]any, text string) error {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return d.validate(schema, value, "body")
}

// at walks down objects by name, nil where there is no such.
func at(value any, names ...string) any {
	for _, name := range names {
		switch object := value.(type) {
		case document:
			value = object[name]
		case map[string]any:
			value = object[name]
		default:
			return nil
		}
	}
	return value
}

// resolve follows a reference.
func (d document) resolve(value any) any {
	ref, ok := at(value, "$ref").(string)
	if !ok {
		return value
	}
	target := at(d, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if target == nil {
		panic("the description refers to " + ref + ", which it does not have")
	}
	return target
}

// validate knows the part of JSON Schema that the description uses, and
// refuses any other keyword, so that none is passed over in silence.
func (d document) validate(schema map[string]any, value any, where string) error {
	schema = d.resolve(schema).(map[string]any)
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if err := d.validateKeyword(keyword, schema, value, where); err != nil {
			return err
		}
	}
	return nil
}

func (d document) validateKeyword(keyword string, schema map[string]any, value any, where string) error {
	ok := true
	switch wants := schema[keyword]; keyword {
	case "description", "default":
	case "type":
		kinds, several := wants.([]any)
		if !several {
			kinds = []any{wants}
		}
		ok = slices.ContainsFunc(kinds, func(kind any) bool { return hasType(value, kind.(string)) })
	case "enum":
		ok = slices.Contains(wants.([]any), value)
	case "const":
		ok = reflect.DeepEqual(wants, value)
	case "minimum":
		number, is := value.(float64)
		ok = !is || number >= wants.(float64)
	case "maximum":
		number, is := value.(float64)
		ok = !is || number <= wants.(float64)
	case "format":
		text, is := value.(string)
		if is && wants == "date-time" {
			_, err := time.Parse(time.RFC3339, text)
			ok = err == nil
		}
	case "oneOf":
		matches := 0
		for _, one := range wants.([]any) {
			if d.validate(one.(map[string]any), value, where) == nil {
				matches++
			}
		}
		ok = matches == 1
	case "maxItems":
		list, is := value.([]any)
		ok = !is || float64(len(list)) <= wants.(float64)
	case "items":
		list, _ := value.([]any)
		for i, item := range list {
			if err := d.validate(wants.(map[string]any), item, fmt.Sprint(where, "[", i, "]")); err != nil {
				return err
			}
		}
	case "required", "properties", "additionalProperties", "propertyNames":
		object, is := value.(map[string]any)
		if is {
			return d.validateObject(keyword, schema, object, where)
		}
	default:
		return fmt.Errorf("%s: the keyword %s is not known here", where, keyword)
	}
	if !ok {
		return fmt.Errorf("%s: %v does not satisfy %s: %v", where, value, keyword, schema[keyword])
	}
	return nil
}

func (d document) validateObject(keyword string, schema, object map[string]any, where string) error {
	properties, _ := schema["properties"].(map[string]any)
	if keyword == "required" {
		for _, name := range schema["required"].([]any) {
			if _, has := object[name.(string)]; !has {
				return fmt.Errorf("%s: %s is missing", where, name)
			}
		}
		return nil
	}
	for name, value := range object {
		own, known := properties[name].(map[string]any)
		var err error
		switch {
		case keyword == "properties" && known:
			err = d.validate(own, value, where+"."+name)
		case keyword == "propertyNames":
			err = d.validate(schema[keyword].(map[string]any), name, where+" name")
		case keyword == "additionalProperties" && !known:
			rest, allowed := schema[keyword].(map[string]any)
			if !allowed {
				return fmt.Errorf("%s: %s is not described", where, name)
			}
			err = d.validate(rest, value, where+"."+name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func hasType(value any, kind string) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}
