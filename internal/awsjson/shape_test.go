package awsjson_test

import "github.com/ergane-dev/ergane/internal/awsjson"

// input is the type that the tests decode; its shape has one member of each
// kind and constraint.
type input struct {
	Name   *string
	Count  *int
	Size   *int64
	Flag   *bool
	State  *state
	Nested *nested
	Names  []string
	Items  []nested
	Lists  map[string][]state
	Props  map[string]string
}

type nested struct {
	Text *string
	ID   *string
}

type state string

func bound(n int64) awsjson.Bound { return awsjson.Bound{Set: true, Value: n} }

var (
	text     = awsjson.Shape{Kind: awsjson.String}
	name     = awsjson.Shape{Kind: awsjson.String, Min: bound(1), Max: bound(5), Pattern: &awsjson.Pattern{Text: `[a-zé]*`, Expr: `[a-zé]*`}}
	states   = awsjson.Shape{Kind: awsjson.String, Enum: []string{"ON", "OFF"}}
	nestedSh = awsjson.Shape{Kind: awsjson.Structure, Members: []awsjson.Member{{Name: "Text", Shape: &text}, {Name: "ID", Shape: &text, Required: true}}}
	inputSh  = awsjson.Shape{Kind: awsjson.Structure, New: func() any { return new(input) }, Members: []awsjson.Member{
		{Name: "Name", Shape: &name, Required: true},
		{Name: "Count", Shape: &awsjson.Shape{Kind: awsjson.Integer, Min: bound(1), Max: bound(50)}},
		{Name: "Size", Shape: &awsjson.Shape{Kind: awsjson.Long, Min: bound(-10)}},
		{Name: "Flag", Shape: &awsjson.Shape{Kind: awsjson.Boolean}},
		{Name: "State", Shape: &states},
		{Name: "Nested", Shape: &nestedSh},
		{Name: "Names", Shape: &awsjson.Shape{Kind: awsjson.List, Max: bound(3), Element: &name}},
		{Name: "Items", Shape: &awsjson.Shape{Kind: awsjson.List, Element: &nestedSh}},
		{Name: "Lists", Shape: &awsjson.Shape{Kind: awsjson.Map, Key: &states, Element: &awsjson.Shape{Kind: awsjson.List, Element: &states}}},
		{Name: "Props", Shape: &awsjson.Shape{Kind: awsjson.Map, Key: &name, Element: &awsjson.Shape{Kind: awsjson.String, Max: bound(3)}}},
	}}
)
