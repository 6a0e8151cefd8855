-- Cohen's kappa (1960) of each two annotators, on the primary labels of the images that both judged; its
-- interval by the large-sample standard error of Fleiss, Cohen and Everitt (1969).
with

counted as (

    select
        annotator_1,
        annotator_2,
        label_1,
        label_2,
        count(*)::double precision as images
    from {{ ref('int_annotator_pairs') }}
    group by annotator_1, annotator_2, label_1, label_2

),

totals as (

    select
        annotator_1,
        annotator_2,
        sum(images) as images,
        coalesce(sum(images) filter (where label_1 = label_2), 0) as agreed
    from counted
    group by annotator_1, annotator_2

),

classes as (

    select defect_class from {{ ref('dim_defect_class') }}

),

-- The whole table of labels, empty cells included: p_ij.
cells as (

    select
        totals.annotator_1,
        totals.annotator_2,
        one.defect_class as label_1,
        other.defect_class as label_2,
        coalesce(counted.images, 0) / totals.images as share
    from totals
    cross join classes as one
    cross join classes as other
    left join counted
        on
            totals.annotator_1 = counted.annotator_1
            and totals.annotator_2 = counted.annotator_2
            and one.defect_class = counted.label_1
            and other.defect_class = counted.label_2

),

-- Its margins: p_i. and p_.j.
margins as (

    select
        *,
        sum(share) over (partition by annotator_1, annotator_2, label_1) as share_1,
        sum(share) over (partition by annotator_1, annotator_2, label_2) as share_2
    from cells

),

chance as (

    select
        annotator_1,
        annotator_2,
        sum(share_1 * share_2) as expected
    from margins
    where label_1 = label_2
    group by annotator_1, annotator_2

),

kappas as (

    select
        totals.annotator_1,
        totals.annotator_2,
        totals.images,
        totals.agreed,
        chance.expected,
        -- Where both said one label alone, rounding must not hide that chance explains all of it.
        case
            when chance.expected < 1 - 1e-12
                then (totals.agreed / totals.images - chance.expected) / (1 - chance.expected)
        end as kappa
    from totals
    inner join chance
        on
            totals.annotator_1 = chance.annotator_1
            and totals.annotator_2 = chance.annotator_2

),

-- The sum over the cells in the variance; the margins crosswise, p_.i and p_j., stand in cell (j, i).
variances as (

    select
        kappas.annotator_1,
        kappas.annotator_2,
        sum(margins.share * case
            when margins.label_1 = margins.label_2
                then (1 - (margins.share_1 + margins.share_2) * (1 - kappas.kappa)) ^ 2
            else ((1 - kappas.kappa) * (crosswise.share_1 + crosswise.share_2)) ^ 2
        end) as cells
    from kappas
    inner join margins
        on
            kappas.annotator_1 = margins.annotator_1
            and kappas.annotator_2 = margins.annotator_2
    inner join margins as crosswise
        on
            margins.annotator_1 = crosswise.annotator_1
            and margins.annotator_2 = crosswise.annotator_2
            and margins.label_1 = crosswise.label_2
            and margins.label_2 = crosswise.label_1
    group by kappas.annotator_1, kappas.annotator_2

),

errors as (

    select
        kappas.*,
        sqrt(
            greatest(variances.cells - (kappas.kappa - kappas.expected * (1 - kappas.kappa)) ^ 2, 0)
            / kappas.images
        )
        / (1 - kappas.expected) as standard_error
    from kappas
    inner join variances
        on
            kappas.annotator_1 = variances.annotator_1
            and kappas.annotator_2 = variances.annotator_2

)

select
    annotator_1,
    annotator_2,
    {{ counted_rate('agreement_rate', 'agreed', 'images', count='pairs', bounds='agreement') }},
    kappa,
    case
        when kappa is not null then greatest(kappa - 1.959963984540054 * standard_error, -1)
    end as kappa_low,
    case when kappa is not null then least(kappa + 1.959963984540054 * standard_error, 1) end as kappa_high
from errors
