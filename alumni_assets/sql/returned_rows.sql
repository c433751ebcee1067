-- The rows of a correction, each with the cells of the row that it corrects where it has none of its own.
--
-- A cell that reads $kept stands for the cell of the original row; so does a column that the file lacks, which
-- is filled with $kept before. A row that names no row that was set aside, or the same as another one, is a
-- problem of the row as a whole.
--
-- Reads: returned (the rows as they came back, the number that they name in `names_row`), set_aside (the
-- invalid rows of the upload). Order: by source_row.
SELECT
    returned.source_row,
    coalesce(nullif(returned.employee_id, $kept), set_aside.employee_id) AS employee_id,
    coalesce(nullif(returned.employee_name, $kept), set_aside.employee_name) AS employee_name,
    coalesce(nullif(returned.college_degree, $kept), set_aside.college_degree) AS college_degree,
    coalesce(nullif(returned.department, $kept), set_aside.department) AS department,
    coalesce(nullif(returned.job_role, $kept), set_aside.job_role) AS job_role,
    coalesce(nullif(returned.dmc_campus, $kept), set_aside.dmc_campus) AS dmc_campus,
    coalesce(nullif(returned.email, $kept), set_aside.email) AS email,
    coalesce(nullif(returned.phone_number, $kept), set_aside.phone_number) AS phone_number,
    coalesce(nullif(returned.performance_rating, $kept), set_aside.performance_rating) AS performance_rating,
    coalesce(nullif(returned.submission_date, $kept), set_aside.submission_date) AS submission_date,
    returned.other_columns,
    CASE
        WHEN returned.reading_problem IS NOT NULL THEN returned.reading_problem
        WHEN set_aside.source_row IS NULL THEN 'no_such_row'
        WHEN count(*) OVER (PARTITION BY returned.names_row) > 1 THEN 'doubled_row'
    END AS reading_problem,
    set_aside.source_row AS corrects_row
FROM returned
LEFT JOIN set_aside ON set_aside.source_row = returned.names_row
ORDER BY returned.source_row
