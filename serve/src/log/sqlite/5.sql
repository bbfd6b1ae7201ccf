-- No table changes: from here on sessions are in a form that older programs cannot read. These would begin them anew, and take
-- repeated lines for new ones; so they are to refuse the whole log.
SELECT 1;
