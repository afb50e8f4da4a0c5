package config

import (
	"fmt"
	"regexp"
	"strings"
)

// userPart is what stands before the last @ of a URL's authority, as the file
// has it.
var userPart = regexp.MustCompile(`^[a-z]+://((?:[^/$]|\$\{[^}]*\}|\$)*)@`)

// inText finds variables in a text.
var inText = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}`)

// notInUser matches what a URL cannot hold as it is in user or password. A
// percent sign is good only as part of a code.
var notInUser = regexp.MustCompile(`[^-A-Za-z0-9._~!$&'()*+,;=:@%]|%(?:[^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)`)

// unencoded names the variable in the user or the password of a URL whose
// value would make another URL of it, "" when there is none. What would come
// of it may look like a URL: a slash in a password ends the host's name.
func unencoded(raw string, getenv func(string) (string, bool)) string {
	user := userPart.FindStringSubmatch(raw)
	if user == nil {
		return ""
	}
	for _, m := range inText.FindAllStringSubmatch(user[1], -1) {
		if value, _ := getenv(m[1]); notInUser.MatchString(value) {
			return m[1]
		}
	}
	return ""
}

// checkInURL reports a variable that a URL cannot hold; it never shows a value.
func (d *decoder) checkInURL(at pos, path, raw string) {
	if !strings.HasSuffix(path, ".url") {
		return
	}
	if name := unencoded(raw, d.getenv); name != "" {
		d.problemAt(at, path, fmt.Sprintf("the value of the variable %s holds characters that a URL cannot hold as they are", name),
			"percent-encode its value (/ is %2F, ? is %3F, # is %23, % is %25), or leave the password out of the URL "+
				"and give it in PGPASSWORD, or write the whole URL into a file and name that with url_file")
	}
}
