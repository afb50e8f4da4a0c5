package wire

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
)

// untrue is an answer of success that cannot be one: an error document under
// a status of 200, the page of some proxy, no sign of an object. The clients
// would take it for what was asked.
type untrue struct {
	answer Answer // what the document says, if it was one of S3
	what   string // otherwise: what is wrong with it
}

func (u untrue) Error() string {
	if u.what != "" {
		return "the site " + u.what
	}
	return "the site answered with an error in the place of success: " + u.answer.String()
}

// meaning returns the hint and the error for it.
func (u untrue) meaning() (hint string, err error) {
	if u.what == "" {
		return Meaning(u.answer)
	}
	return "the site is broken, or something on the way answers in its place", u
}

// honest turns answers that claim a success without one into errors.
type honest struct{ next http.RoundTripper }

func (h *honest) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return resp, err
	}
	if err := believe(req, resp); err != nil {
		_ = resp.Body.Close() // the error that counts is known
		return nil, err
	}
	return resp, nil
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (h *honest) CloseIdleConnections() { closeIdle(h.next) }

// believe checks the answer to a request of each kind that the clients make.
func believe(req *http.Request, resp *http.Response) error {
	query := req.URL.Query()
	isObject := !query.Has("retention") && !query.Has("object-lock") && !isListing(query)
	switch req.Method {
	case http.MethodHead:
		if resp.ContentLength < 0 {
			return untrue{what: "did not state the size of an object"}
		}
		return hasETag(resp)
	case http.MethodPut:
		if err := hasNoBody(resp); err != nil || !isObject {
			return err
		}
		if got, want := resp.Header.Get(headerSHA256), req.Header.Get(headerSHA256); got != "" && got != want {
			return untrue{what: "stored an object with another checksum than was sent"}
		}
		return hasETag(resp)
	case http.MethodDelete:
		return hasNoBody(resp)
	case http.MethodGet:
		if isObject {
			return isContent(resp)
		}
		return isDocument(resp, isListing(query))
	}
	return nil
}

const headerSHA256 = "X-Amz-Checksum-Sha256"

// hasETag: whatever is an object has one; error pages and error documents
// have none.
func hasETag(resp *http.Response) error {
	if resp.Header.Get("ETag") == "" {
		return untrue{what: "answered without an ETag, which every object has"}
	}
	return nil
}

// maxDocument bounds how much of a body is looked at. Documents of errors are
// a few hundred bytes.
const maxDocument = 64 << 10

// look returns the beginning of a body, and puts it back.
func look(resp *http.Response) ([]byte, error) {
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	resp.Body = &closing{Reader: io.MultiReader(bytes.NewReader(head), resp.Body), Closer: resp.Body}
	return head, err
}

// hasNoBody: nothing is said in the body of a PUT or DELETE that succeeded.
func hasNoBody(resp *http.Response) error {
	head, err := look(resp)
	if err == nil {
		err = errorDocument(head)
	}
	if err == nil && len(bytes.TrimSpace(head)) > 0 {
		err = untrue{what: "answered with a page of its own"}
	}
	return err
}

// isContent refuses the document of an error in the place of an object. No
// object of ours begins like one.
func isContent(resp *http.Response) error {
	if mayBeDocument(resp) {
		head, err := look(resp)
		if err == nil {
			err = errorDocument(head)
		}
		if err != nil {
			return err
		}
	}
	return hasETag(resp)
}

// mayBeDocument tells whether a short body begins as XML does.
func mayBeDocument(resp *http.Response) bool {
	if resp.ContentLength > maxDocument {
		return false
	}
	buffered := bufio.NewReader(resp.Body)
	resp.Body = &closing{Reader: buffered, Closer: resp.Body}
	first, err := buffered.Peek(1)
	return err == nil && bytes.ContainsAny(first, "< \r\n\t")
}

// isDocument checks an answer about a bucket or a retention. The clients take
// any XML for an empty list.
func isDocument(resp *http.Response, listing bool) error {
	head, err := look(resp)
	if err == nil {
		err = errorDocument(head)
	}
	if err != nil {
		return err
	}
	root, err := rootOf(head)
	switch {
	case err != nil:
		return untrue{what: "answered with something other than the document that was asked for"}
	case listing && root != "ListBucketResult" && root != "ListVersionsResult":
		return untrue{what: "answered with something other than a listing"}
	}
	return nil
}

// rootOf returns the name of the first element of a document.
func rootOf(head []byte) (string, error) {
	for d := xml.NewDecoder(bytes.NewReader(head)); ; {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		if element, ok := token.(xml.StartElement); ok {
			return element.Name.Local, nil
		}
	}
}

// errorDocument returns the error that a document of S3 stands for, or nil.
func errorDocument(head []byte) error {
	var document struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if xml.Unmarshal(head, &document) != nil || document.Code == "" {
		return nil
	}
	return untrue{answer: Answer{Status: http.StatusOK, Code: document.Code, Message: document.Message}}
}
