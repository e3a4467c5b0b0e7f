package awsjson_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestValidationNamesEveryBrokenConstraint(t *testing.T) {
	t.Parallel()
	const one = "1 validation error detected: "
	for body, want := range map[string]string{
		`{}`:                                     one + "Value null at 'name' failed to satisfy constraint: Member must not be null",
		`{"Name":null}`:                          one + "Value null at 'name' failed to satisfy constraint: Member must not be null",
		`{"Name":""}`:                            one + "Value at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1",
		`{"Name":"abcdef"}`:                      one + "Value at 'name' failed to satisfy constraint: Member must have length less than or equal to 5",
		`{"Name":"a!"}`:                          one + "Value at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zé]*",
		`{"Name":"a\n"}`:                         one + "Value at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zé]*",
		`{"Name":"a","Count":51}`:                one + "Value at 'count' failed to satisfy constraint: Member must have value less than or equal to 50",
		`{"Name":"a","Count":99999999999}`:       one + "Value at 'count' failed to satisfy constraint: Member must have value less than or equal to 50",
		`{"Name":"a","Count":-99999999999}`:      one + "Value at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1",
		`{"Name":"a","Count":0}`:                 one + "Value at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1",
		`{"Name":"a","Size":-11}`:                one + "Value at 'size' failed to satisfy constraint: Member must have value greater than or equal to -10",
		`{"Name":"a","State":"on"}`:              one + "Value at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ON, OFF]",
		`{"Name":"a","State":""}`:                one + "Value at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ON, OFF]",
		`{"Name":"a","Nested":{}}`:               one + "Value null at 'nested.iD' failed to satisfy constraint: Member must not be null",
		`{"Name":"a","Items":[{"ID":"x"},{}]}`:   one + "Value null at 'items.2.member.iD' failed to satisfy constraint: Member must not be null",
		`{"Name":"a","Names":["a","b","c","d"]}`: one + "Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 3",
		`{"Name":"a","Names":["a","!"]}`: one + "Value at 'names' failed to satisfy constraint: Member must satisfy constraint: " +
			"[Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-zé]*]",
		`{"Name":"a","Props":{"!":"x"}}`: one + "Value at 'props' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-zé]*]",
		`{"Name":"a","Props":{"x":"long"}}`: one + "Value at 'props' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 3]",
		`{"Name":"a","Lists":{"ON":["X"]}}`: one + "Value at 'lists.ON.member' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [ON, OFF]]",
		`{"Count":0,"State":"x"}`: "3 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; " +
			"Value at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ON, OFF]",
		`{"Name":"ABCDEF"}`: "2 validation errors detected: Value at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zé]*; " +
			"Value at 'name' failed to satisfy constraint: Member must have length less than or equal to 5",
	} {
		_, err := awsjson.Decode(&inputSh, []byte(body))
		var v *awsjson.ValidationError
		if !errors.As(err, &v) || v.Message != want {
			t.Errorf("%s:\n got %v\nwant %s", body, err, want)
		}
	}
}

func TestLengthsCountCodePoints(t *testing.T) {
	t.Parallel()
	if _, err := awsjson.Decode(&inputSh, []byte(`{"Name":"ééééé"}`)); err != nil {
		t.Error("five characters of two bytes each:", err)
	}
	if _, err := awsjson.Decode(&inputSh, []byte(`{"Name":"a","Props":{"a":"😀😀😀"}}`)); err != nil {
		t.Error("three characters outside the basic plane:", err)
	}
}

func TestManyViolationsGiveABoundedMessage(t *testing.T) {
	t.Parallel()
	_, err := awsjson.Decode(&inputSh, []byte(`{"Name":"a","Items":[`+strings.Repeat("{},", 100000)+`{}]}`))
	if err == nil || !strings.HasPrefix(err.Error(), "100001 validation errors detected: ") || len(err.Error()) > 10000 {
		t.Errorf("got %.200v", err)
	}
}
